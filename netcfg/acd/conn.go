package acd

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// ErrClosed is what Receive ends with after Close.
var ErrClosed = net.ErrClosed

// Listen opens a packet socket (NET_RAW) that sees what other hosts say about
// addr by ARP, and nothing else: the kernel filters, so that a busy link costs
// nothing.
func Listen(ifi *net.Interface, addr netip.Addr) (Conn, error) {
	filter, err := bpf.Assemble(filterFor(ifi.HardwareAddr, addr))
	if err != nil {
		return nil, fmt.Errorf("filtering ARP for %v: %w", addr, err)
	}
	conn, err := packet.Listen(ifi, packet.Datagram, unix.ETH_P_ARP, &packet.Config{Filter: filter})
	if err != nil {
		return nil, fmt.Errorf("listening for ARP on %s: %w", ifi.Name, err)
	}
	return &packetConn{conn}, nil
}

// filterFor accepts packets from others that claim addr or ask for it. Offsets
// are from the beginning of ARP.
func filterFor(mac net.HardwareAddr, addr netip.Addr) []bpf.Instruction {
	want, own := word(addr.AsSlice()), mac
	const accept, refuse = 12, 13
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 4}, // hardware and protocol types
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x0001_0800, SkipTrue: refuse - 2},
		bpf.LoadAbsolute{Off: 8, Size: 4}, // the sender's hardware address, in two parts
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: word(own), SkipTrue: 6 - 4},
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(own[4])<<8 | uint32(own[5]), SkipTrue: refuse - 6},
		bpf.LoadAbsolute{Off: 14, Size: 4}, // the sender's address
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: want, SkipTrue: accept - 8},
		bpf.LoadAbsolute{Off: 24, Size: 4}, // the target's address
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: want, SkipTrue: refuse - 10},
		bpf.LoadAbsolute{Off: 14, Size: 4}, // in a probe the sender's address is 0
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: refuse - 12},
		bpf.RetConstant{Val: 64},
		bpf.RetConstant{Val: 0},
	}
}

func word(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

type packetConn struct{ *packet.Conn }

func (c *packetConn) Send(p Packet) error {
	_, err := c.WriteTo(p.Bytes(), &packet.Addr{HardwareAddr: Broadcast[:]})
	return err
}

func (c *packetConn) Receive(ctx context.Context) (Packet, error) {
	if err := ctx.Err(); err != nil {
		return Packet{}, err
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		return Packet{}, err
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = c.SetReadDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-ended // lest it cut off the next Receive
		}
	}()
	buffer := make([]byte, 64)
	for {
		n, _, err := c.ReadFrom(buffer)
		if err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return Packet{}, err
		}
		if p, err := Parse(buffer[:n]); err == nil {
			return p, nil
		}
	}
}

// Resolve asks by ARP for the hardware address of a neighbour, from an address
// of ours or from 0.0.0.0, three times within the time that ctx leaves.
func Resolve(ctx context.Context, ifi *net.Interface, from, addr netip.Addr) (MAC, error) {
	conn, err := Listen(ifi, addr)
	if err != nil {
		return MAC{}, err
	}
	defer conn.Close()
	ask := Packet{Op: Request, SenderMAC: MAC(ifi.HardwareAddr), Sender: from, Target: addr}
	for range 3 {
		if err := conn.Send(ask); err != nil {
			return MAC{}, fmt.Errorf("asking for %v: %w", addr, err)
		}
		if mac, ok := awaitReply(ctx, conn, addr); ok {
			return mac, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return MAC{}, fmt.Errorf("%v does not answer ARP", addr)
}

const replyTime = 300 * time.Millisecond

func awaitReply(ctx context.Context, conn Conn, addr netip.Addr) (MAC, bool) {
	ctx, cancel := context.WithTimeout(ctx, replyTime)
	defer cancel()
	for {
		p, err := conn.Receive(ctx)
		if err != nil {
			return MAC{}, false
		}
		if p.Sender == addr {
			return p.SenderMAC, true
		}
	}
}
