package health

// Code names one kind of finding for good: short enough to be read out over
// the phone, and never used again for another. docs/troubleshooting.md has
// what each means and what helps; a test keeps the two the same.
type Code string

// The configuration.
const (
	ConfigFine    Code = "CFG-00"
	ConfigWrong   Code = "CFG-01" // it has mistakes
	ConfigDoubt   Code = "CFG-02" // it is valid, and hardly what was meant
	ConfigRefused Code = "CFG-03" // a reload met mistakes; what was before is in force
	ConfigWaits   Code = "CFG-04" // something takes effect only with a restart
)

// The daemon and its pages.
const (
	ServerFine       Code = "SRV-00"
	ServerSilent     Code = "SRV-01" // no daemon answers
	ServerPart       Code = "SRV-02" // a part of it has stopped
	ServerNoListen   Code = "SRV-03" // an address cannot be listened on
	ServerSockets    Code = "SRV-04" // systemd's sockets win over http.listen
	ServerPageShut   Code = "SRV-05" // a page does not open
	ServerPageBroken Code = "SRV-06" // a page answers with an error
)

// What is kept.
const (
	DiskFine     Code = "DSK-00"
	DiskShort    Code = "DSK-01" // little room is left
	DiskUnusable Code = "DSK-02" // the state folder cannot be used
	DiskRefuses  Code = "DSK-03" // messages are not stored
)

// The network.
const (
	NetFine      Code = "NET-00"
	NetUnseen    Code = "NET-01" // it cannot be observed
	NetDown      Code = "NET-02" // no interface is up
	NetDuplicate Code = "NET-03" // another device has the same address
	NetNoAddress Code = "NET-04" // an interface is up and has no address
	NetNoCable   Code = "NET-05" // an interface has nothing plugged in
	NetNoDaemon  Code = "NET-06" // nobody configures it, though somebody should
	NetSilent    Code = "NET-07" // the network's daemon does not answer
	NetTrouble   Code = "NET-08" // it is not as configured
)

// The name.
const (
	NameFine       Code = "NAM-00" // an independent stack finds it
	NameTaken      Code = "NAM-01" // by another device, in .local
	NameBareTaken  Code = "NAM-02" // by another device, without .local
	NameByAvahi    Code = "NAM-03" // avahi-daemon answers for it
	NameByResolved Code = "NAM-04" // systemd-resolved answers too
	NameByNetBIOS  Code = "NAM-05" // another program answers NetBIOS names
	NameMuted      Code = "NAM-06" // the responder hears or says nothing on a link
	NameUnseen     Code = "NAM-07" // an independent stack does not find it
	NameOff        Code = "NAM-08" // nobody answers for it, as configured
	NameSlow       Code = "NAM-09" // clients wait for IPv6 addresses in vain
	NameByVPN      Code = "NAM-10" // a tunnel takes the traffic
)

// The device.
const (
	ClockUnset   Code = "TIM-01" // nobody has told the time
	PowerLow     Code = "PWR-01" // the supply's voltage is too low
	CardSettings Code = "CRD-01" // the card's boot could not do all that it should
	UpdateUndone Code = "UPD-01" // a new version was taken back
)
