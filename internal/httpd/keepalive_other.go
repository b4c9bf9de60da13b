//go:build !linux

package httpd

import "net"

func listenConfig() *net.ListenConfig { return new(net.ListenConfig) }
