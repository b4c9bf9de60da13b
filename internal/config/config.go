package config

import (
	"log/slog"
	"net/netip"
	"time"
)

// Config is the whole configuration, validated. Treat it as immutable: its
// slices are shared. The tags are its reference: toml is the key, doc the
// comment above it, oneof the words allowed, secret hides the value where the
// configuration is shown.
type Config struct {
	Name  string `toml:"name" doc:"The host name: in DHCP, mDNS (NAME.local), LLMNR, and wherever a name is shown."`
	State string `toml:"state" doc:"The folder of everything that must survive.\nDefault: /var/lib/appliance for root, $XDG_STATE_HOME/appliance for others."`

	Net       Net       `toml:"net" doc:"The network interface."`
	Discovery Discovery `toml:"discovery" doc:"Being found by name."`
	HTTP      HTTP      `toml:"http" doc:"Pages and the HTTP API."`
	Realtime  Realtime  `toml:"realtime" doc:"The Socket.IO server."`
	Access    Access    `toml:"access" doc:"Who may come in."`
	Chat      Chat      `toml:"chat"`
	Bus       Bus       `toml:"bus"`
	Store     Store     `toml:"store"`
	Log       Log       `toml:"log"`
	Admin     Admin     `toml:"admin" doc:"The administrator. The admin page and 'appliance admin' write this into settings.toml."`
	Setup     Setup     `toml:"setup" doc:"Read once from the FAT partition of a card, then removed from it."`
}

// Net is what netcfg is told.
type Net struct {
	Interface   string `toml:"interface" doc:"\"auto\" is the first wired interface with a carrier, else a joined wireless one, else the first that is up.\nOr a name, an alternative name, a hardware address; it need not be there yet."`
	Mode        string `toml:"mode" oneof:"observe dhcp static" doc:"observe changes nothing; dhcp and static configure the interface."`
	ClientID    string `toml:"client_id" doc:"How DHCP servers know this device: mac | duid | none | bytes in hex (01:b8:27:eb:…)."`
	LinkLocal   string `toml:"link_local" oneof:"fallback always off" doc:"169.254.x.x: fallback is gone within 3 s of a lease; always stays beside it."`
	ReleaseStop bool   `toml:"release_on_stop" doc:"Give the lease back at the end. Off, so that a restart gets the same address."`
	IgnoreMTU   bool   `toml:"ignore_mtu" doc:"Keep the link's MTU, whatever a DHCP server says."`
	ResolvConf  string `toml:"resolv_conf" doc:"The resolver file to write.\nDefault: resolv.conf in the runtime folder under systemd, else /etc/resolv.conf."`
	Static      Static `toml:"static" doc:"For mode = \"static\"."`
}

// Static is an interface's configuration without a DHCP server.
type Static struct {
	Addresses []netip.Prefix `toml:"addresses" doc:"With the prefix length: [\"192.168.1.22/24\", \"fd00::22/64\"]"`
	Gateway   netip.Addr     `toml:"gateway" doc:"\"192.168.1.1\""`
	Gateway6  netip.Addr     `toml:"gateway6" doc:"\"fd00::1\"; router advertisements are heeded anyway."`
	DNS       []netip.Addr   `toml:"dns" doc:"[\"192.168.1.1\"]"`
	Search    []string       `toml:"search" doc:"Domains to complete short names with."`
	Routes    []Route        `toml:"routes" doc:"Beside the gateway: [\"10.8.0.0/16 via 192.168.1.254\"]"`
	MTU       int            `toml:"mtu" doc:"0 keeps the link's."`
}

// Discovery is what the mDNS and LLMNR responders are told.
type Discovery struct {
	Enabled    bool     `toml:"enabled"`
	Instance   string   `toml:"instance" doc:"How services are called in lists. Default: the name."`
	Aliases    []string `toml:"aliases" doc:"Further names: [\"chat\"] makes chat.local this host too."`
	CNAMEs     []string `toml:"cnames" doc:"Like aliases, as CNAME records; Windows does not follow these."`
	Interfaces []string `toml:"interfaces" doc:"Default: every usable one."`
	LLMNR      bool     `toml:"llmnr" doc:"Names for Windows without mDNS."`
	NBNS       bool     `toml:"nbns" doc:"Names for very old Windows."`
	Avahi      string   `toml:"avahi" oneof:"auto own rename never" doc:"auto publishes through a running avahi-daemon, beside its own name; own under that; rename gives it ours."`
}

// HTTP is what the HTTP server is told.
type HTTP struct {
	Listen     []string `toml:"listen" doc:"Default: [\":80\", \":8080\"] with the right to low ports, else [\":8080\"]."`
	AllowHosts []string `toml:"allow_hosts" doc:"Further host names to answer to; own names and addresses are always allowed."`
	Origins    []string `toml:"origins" doc:"Further pages that may connect: [\"https://example.org\"]"`
	WWW        string   `toml:"www" doc:"Your own pages, served before the built-in ones. Default: www in the state folder."`
}

// Realtime is what the Socket.IO server is told.
type Realtime struct {
	AllowEIO3    bool     `toml:"allow_eio3" doc:"Clients of Socket.IO 2, as common on microcontrollers."`
	PingInterval Duration `toml:"ping_interval"`
	PingTimeout  Duration `toml:"ping_timeout"`
	MaxPayload   Bytes    `toml:"max_payload" doc:"The largest message a client may send."`
	Queue        Bytes    `toml:"queue" doc:"What may wait for one slow client before it is let go."`
	Recover      []string `toml:"recover" doc:"Namespaces whose clients go on where they were, over restarts too: [\"/relay/game\"]\nEach event there has one more argument. Chat and bus need it not: they resume by since."`
	Recovery     Duration `toml:"recovery" doc:"How long such a client may be away."`
}

// Access says who may come in.
type Access struct {
	Policy string         `toml:"policy" oneof:"lan token" doc:"lan lets in the local network; token lets in whoever has the token, from anywhere."`
	Allow  []netip.Prefix `toml:"allow" doc:"Networks to treat as local: [\"203.0.113.0/24\"]"`
	Token  string         `toml:"token" secret:"yes" doc:"For policy = \"token\". Made at the first start if it is empty."`
}

// Chat is what the chat is told.
type Chat struct {
	Rooms []string `toml:"rooms" doc:"Rooms that are always there."`
}

// Bus is what the data bus is told.
type Bus struct {
	HistoryPerTopic int    `toml:"history_per_topic" doc:"Values kept in memory for each topic."`
	MQTT            string `toml:"mqtt" doc:"Where MQTT clients (5 and 3.1.1) find the bus: \":1883\". Empty: nowhere."`
}

// Store is what the database is told.
type Store struct {
	MaxSize Bytes `toml:"max_size" doc:"The oldest messages go when the database grows beyond it."`
}

// Log is what is logged.
type Log struct {
	Level slog.Level `toml:"level" doc:"debug | info | warn | error"`
}

// Admin is the administrator.
type Admin struct {
	PasswordHash string `toml:"password_hash" secret:"yes" doc:"Argon2id, as 'appliance admin password' writes it. Empty: not claimed yet."`
}

// Setup is read once, by the card image's first boot.
type Setup struct {
	AdminPassword string `toml:"admin_password" secret:"yes" doc:"Plain; only its hash is kept."`
	SSHKey        string `toml:"ssh_key"`
	WiFi          WiFi   `toml:"wifi"`
}

// WiFi is a wireless network to join at the first boot.
type WiFi struct {
	SSID     string `toml:"ssid"`
	Password string `toml:"password" secret:"yes"`
	Country  string `toml:"country" doc:"Two letters, as regulations ask: \"DE\""`
}

// Defaults returns the configuration of an empty file, for somebody with the
// rights and the folders of place.
func Defaults(place Place) Config {
	c := Config{
		Name:  "server22",
		State: place.State,
		Net:   Net{Interface: "auto", Mode: "observe", ClientID: "mac", LinkLocal: "fallback"},
		Discovery: Discovery{
			Enabled: true, LLMNR: true, Avahi: "auto",
		},
		HTTP: HTTP{Listen: []string{":8080"}},
		Realtime: Realtime{
			AllowEIO3:    true,
			PingInterval: Duration(25 * time.Second), PingTimeout: Duration(20 * time.Second),
			MaxPayload: 1_000_000, Queue: 256 << 10, Recovery: Duration(2 * time.Minute),
		},
		Access: Access{Policy: "lan"},
		Chat:   Chat{Rooms: []string{"lobby"}},
		Bus:    Bus{HistoryPerTopic: 1000},
		Store:  Store{MaxSize: 256 << 20},
		Log:    Log{Level: slog.LevelInfo},
	}
	if place.LowPorts {
		c.HTTP.Listen = []string{":80", ":8080"}
	}
	if place.Card {
		c.Net.Mode, c.Net.LinkLocal = "dhcp", "always"
	}
	return c
}
