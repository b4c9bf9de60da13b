package control

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Group is the group whose members may control the daemon.
const Group = "appliance"

// Peer is the process at the other end of a connection.
type Peer struct {
	PID int32
	UID uint32
	GID uint32
}

type peerKey struct{}

// PeerOf returns who sent a request.
func PeerOf(ctx context.Context) (Peer, bool) {
	p, ok := ctx.Value(peerKey{}).(Peer)
	return p, ok
}

// withPeer is http.Server.ConnContext. A peer that cannot be told is none,
// and is refused.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	p, err := peerOf(conn)
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, p)
}

func peerOf(conn net.Conn) (Peer, error) {
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return Peer{}, fmt.Errorf("a %T has no peer credentials", conn)
	}
	raw, err := unixConn.SyscallConn()
	if err != nil {
		return Peer{}, fmt.Errorf("reading peer credentials: %w", err)
	}
	var peer Peer
	var credErr error
	if err := raw.Control(func(fd uintptr) { peer, credErr = credentials(int(fd)) }); err != nil {
		return Peer{}, fmt.Errorf("reading peer credentials: %w", err)
	}
	return peer, credErr
}

func credentials(fd int) (Peer, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Peer{}, fmt.Errorf("reading peer credentials: %w", err)
	}
	return Peer{PID: cred.Pid, UID: cred.Uid, GID: cred.Gid}, nil
}

// Trusted allows root, the daemon's own user, and the members of Group.
func Trusted(r *http.Request) bool {
	p, ok := PeerOf(r.Context())
	if !ok {
		return false
	}
	if p.UID == 0 || p.UID == uint32(os.Geteuid()) {
		return true
	}
	return p.in(Group)
}

// in reports whether the peer is a member of a group, by its process or by
// the system's list.
func (p Peer) in(name string) bool {
	group, err := user.LookupGroup(name)
	if err != nil {
		return false
	}
	if group.Gid == strconv.FormatUint(uint64(p.GID), 10) {
		return true
	}
	account, err := user.LookupId(strconv.FormatUint(uint64(p.UID), 10))
	if err != nil {
		return false
	}
	groups, err := account.GroupIds()
	return err == nil && slices.Contains(groups, group.Gid)
}
