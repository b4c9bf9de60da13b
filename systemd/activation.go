package systemd

import (
	"fmt"
	"net"

	"github.com/coreos/go-systemd/v22/activation"
)

// Listeners returns the stream sockets that systemd opened for this process
// (socket activation), in the order of the socket unit; none where it did not.
// They belong to the caller. A second call returns none.
func Listeners() ([]net.Listener, error) {
	var listeners []net.Listener
	for _, file := range activation.Files(true) {
		l, err := net.FileListener(file)
		file.Close() // FileListener has duplicated it
		if err != nil {
			for _, open := range listeners {
				open.Close()
			}
			return nil, fmt.Errorf("taking over %s from systemd: %w", file.Name(), err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}
