package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"server22.local/appliance/discovery/browse"
)

// lookFor is how long the network is asked for a name under .local that nobody
// answers for.
const lookFor = 2 * time.Second

// dial connects to a host. Names under .local that the system cannot resolve,
// as where nss-mdns is missing, are asked for on the network.
func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	host, port, splitErr := net.SplitHostPort(addr)
	if _, unresolved := errors.AsType[*net.DNSError](err); !unresolved || splitErr != nil || !isLocalName(host) {
		return conn, err
	}
	return dialFound(ctx, network, host, port)
}

func isLocalName(host string) bool {
	return strings.HasSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), ".local")
}

// dialFound tries every address of the host of that name.
func dialFound(ctx context.Context, network, host, port string) (net.Conn, error) {
	look, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	addrs, err := browse.Host(look, host)
	if err != nil {
		return nil, fmt.Errorf("looking for %s: %w", host, err)
	}
	for _, a := range addrs {
		var d net.Dialer
		var conn net.Conn
		if conn, err = d.DialContext(ctx, network, net.JoinHostPort(a.String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}
