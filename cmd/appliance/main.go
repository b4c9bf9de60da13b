// Command appliance is a realtime server for a local network, found by name.
//
// Rules of its user interface: standard output is the answer and nothing else,
// standard error the rest; what is wrong is "error:" and what helps is
// "hint:"; --json is stable; no meaning is in colour alone; exit codes are
// in exit.go and documented.
package main

import "os"

// The release sets these: -ldflags "-X main.version=1.2.3 …".
var (
	version = "devel"
	commit  string // the first letters of its hash
	date    string // of the commit
)

func main() { os.Exit(execute(os.Args[1:])) }
