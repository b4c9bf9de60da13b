package config

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// DefaultPath is the file that is read when none is named. It may be missing.
const DefaultPath = "/etc/appliance/appliance.toml"

// serviceState and serviceRuntime are where a service, or root, keeps things.
const (
	serviceState   = "/var/lib/appliance"
	serviceRuntime = "/run/appliance"
)

// Place is what the defaults depend on: who runs the program, and where that
// somebody may write.
type Place struct {
	State    string // default of the key state
	Runtime  string // where sockets go; "" is the state folder
	LowPorts bool   // whether ports under 1024 may be listened on
	Card     bool   // whether this is the card image, whose network is nobody else's
}

// cardRuntime is there on the card image, made before anything of ours starts.
const cardRuntime = "/run/appliance-card"

// Here finds out about the process that asks. lookup is os.LookupEnv.
func Here(lookup func(string) (string, bool)) Place {
	env := func(key string) string { v, _ := lookup(key); return v }
	_, err := os.Stat(cardRuntime)
	place := Place{LowPorts: mayBindLowPorts(), Card: err == nil}

	// systemd's StateDirectory= and RuntimeDirectory= may name several.
	place.State, _, _ = strings.Cut(env("STATE_DIRECTORY"), ":")
	place.Runtime, _, _ = strings.Cut(env("RUNTIME_DIRECTORY"), ":")
	switch {
	case place.State != "":
	case os.Geteuid() == 0:
		place.State = serviceState
	case env("XDG_STATE_HOME") != "":
		place.State = filepath.Join(env("XDG_STATE_HOME"), "appliance")
	case env("HOME") != "":
		place.State = filepath.Join(env("HOME"), ".local", "state", "appliance")
	default:
		place.State = filepath.Join(os.TempDir(), "appliance")
	}
	return place
}

// RuntimeDir is where the sockets and the issue file of a daemon with this
// state folder are: systemd's runtime folder, /run/appliance for the service's
// own state folder, else the state folder itself, so that two daemons of
// different state never share one.
func (p Place) RuntimeDir(state string) string {
	switch {
	case p.Runtime != "":
		return p.Runtime
	case filepath.Clean(state) == serviceState:
		return serviceRuntime
	default:
		return state
	}
}

// netRuntime is the runtime folder of appliance-net.service.
const netRuntime = "/run/appliance-net"

// NetSocket is where `appliance net run` with this state folder listens.
func (l *Loaded) NetSocket() string {
	if filepath.Clean(l.State) == serviceState {
		return filepath.Join(netRuntime, "control.sock")
	}
	return filepath.Join(l.State, "net.sock")
}

// mayBindLowPorts reports whether CAP_NET_BIND_SERVICE is in effect, which it
// is for root too.
func mayBindLowPorts() bool {
	var data [2]unix.CapUserData
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&head, &data[0]); err != nil {
		return os.Geteuid() == 0
	}
	return data[0].Effective&(1<<unix.CAP_NET_BIND_SERVICE) != 0
}
