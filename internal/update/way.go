package update

import "os"

// Way says who updates a system.
type Way string

// The ways.
const (
	ByBundle   Way = "bundle"   // a card of ours: signed bundles
	ByPackages Way = "packages" // the system's package manager
	ByHand     Way = "hand"     // whoever put the binary there
)

// debianCopyright is in every Debian package, and in nothing else: unlike
// dpkg's database it is a file that others may look at (Debian Policy §12.5).
const debianCopyright = "/usr/share/doc/appliance/copyright"

// Here returns how this system is updated.
func Here() Way {
	for _, known := range []struct {
		path string
		way  Way
	}{
		{"/run/appliance-card", ByBundle},
		{debianCopyright, ByPackages},
	} {
		if _, err := os.Stat(known.path); err == nil {
			return known.way
		}
	}
	return ByHand
}

// Refusal is why a system that is updated otherwise takes no bundle, and what
// to do instead.
func (w Way) Refusal() (why, hint string) {
	if w == ByPackages {
		return "the package manager updates this system", "apt install ./appliance_VERSION_ARCH.deb"
	}
	return "this system is not a card of ours", "replace the binary and restart the service; install.sh of the tarball does both"
}
