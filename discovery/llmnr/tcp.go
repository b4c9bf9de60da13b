package llmnr

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Limits of TCP, by which few ask, and briefly: systemd-resolved for the names
// of addresses, and who got a truncated answer.
const (
	maxConns  = 8
	connLimit = 5 * time.Second
	maxQuery  = 4096 // bytes
)

// serveTCP answers on one of the interface's addresses (RFC 4795 §2.4).
func (l *link) serveTCP(ctx context.Context, addr netip.Addr) error {
	listener, err := l.r.cfg.platform.listen(ctx, l.ifi, addr)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", netip.AddrPortFrom(addr, port), err)
	}
	l.report("TCP "+addr.String(), nil)
	var conns sync.WaitGroup
	defer conns.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer listener.Close()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	slots := make(chan struct{}, maxConns)
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		select {
		case slots <- struct{}{}:
			conns.Go(func() {
				defer func() { <-slots }()
				l.converse(ctx, conn)
			})
		default:
			conn.Close()
		}
	}
}

// converse answers the queries of one connection until it ends or its time is
// over.
func (l *link) converse(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	remote, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok || !l.onLink(remote.AddrPort().Addr()) || conn.SetDeadline(time.Now().Add(connLimit)) != nil {
		return
	}
	for {
		query, err := readFrame(conn)
		if err != nil {
			return
		}
		reply := l.replyTCP(query)
		if reply == nil {
			return // §2.3: silence about the names of others
		}
		if _, err := conn.Write(reply); err != nil {
			return
		}
	}
}

// readFrame reads a message with its length before it (RFC 1035 §4.2.2).
func readFrame(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint16(size[:])
	if n > maxQuery {
		return nil, fmt.Errorf("a query of %d bytes", n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

// replyTCP is reply with its length before it, of any size.
func (l *link) replyTCP(b []byte) []byte {
	query, ok := parseQuery(b)
	if !ok || conflictBit(query) {
		return nil
	}
	response := l.respond(query)
	if response == nil {
		return nil
	}
	packet, err := response.Pack()
	if err != nil || len(packet) > 0xffff {
		return nil
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...)
}
