package browser

import (
	"io"
	"net"
	"sync"
	"testing"
)

// line is the network between browsers and a device: a TCP proxy that can be
// cut, as a cable can, with every connection on it.
type line struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup

	mu    sync.Mutex // guards all following fields
	whole bool
	conns map[net.Conn]bool
}

func newLine(t *testing.T, target string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{listener: listener, target: target, whole: true, conns: make(map[net.Conn]bool)}
	l.wg.Go(l.accept)
	t.Cleanup(func() {
		listener.Close()
		l.cut()
		l.wg.Wait()
	})
	return l
}

func (l *line) url() string { return "http://" + l.listener.Addr().String() }

// cut ends every connection and every later one at once, until heal.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.whole = false
	for conn := range l.conns {
		conn.Close()
	}
	clear(l.conns)
}

func (l *line) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.whole = true
}

func (l *line) accept() {
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.wg.Go(func() { l.carry(conn) })
	}
}

func (l *line) carry(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", l.target)
	if err != nil || !l.hold(near, far) {
		return
	}
	defer far.Close()
	back := make(chan struct{})
	l.wg.Go(func() {
		defer close(back)
		_, _ = io.Copy(near, far)
		near.Close()
	})
	_, _ = io.Copy(far, near)
	far.Close()
	<-back
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, near)
	delete(l.conns, far)
}

// hold says whether the line may be used, and remembers who does.
func (l *line) hold(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range conns {
		if l.whole {
			l.conns[conn] = true
		} else {
			conn.Close()
		}
	}
	return l.whole
}
