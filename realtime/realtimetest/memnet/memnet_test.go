package memnet_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"server22.local/appliance/realtime/realtimetest/memnet"
)

func pair(t *testing.T, l *memnet.Listener) (near, far net.Conn) {
	t.Helper()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept()
		accepted <- c
	}()
	near, err := l.DialContext(t.Context(), "tcp", "anywhere:80")
	if err != nil {
		t.Fatal(err)
	}
	return near, <-accepted
}

// The standard's own suite for connections.
func TestConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		l := memnet.Listen()
		c1, c2 = pair(t, l)
		return c1, c2, func() { c1.Close(); c2.Close(); l.Close() }, nil
	})
}

func TestEnds(t *testing.T) {
	l := memnet.Listen()
	near, far := pair(t, l)
	near.Write([]byte("last words"))
	near.Close()
	if said, err := io.ReadAll(far); err != nil || string(said) != "last words" {
		t.Errorf("after the peer's Close read %q, %v", said, err)
	}
	if _, err := far.Write([]byte("x")); err == nil {
		t.Error("wrote to a closed peer")
	}
	if _, err := near.Read(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after Close: %v", err)
	}

	near, far = pair(t, l)
	near.Write([]byte("lost"))
	l.Unplug()
	for _, c := range []net.Conn{near, far} {
		if n, err := c.Read(make([]byte, 9)); n != 0 || err == nil || errors.Is(err, io.EOF) {
			t.Errorf("after Unplug read %d bytes, %v", n, err)
		}
	}
	if _, err := l.DialContext(t.Context(), "", ""); err == nil {
		t.Error("dialled while unplugged")
	}
	l.Plug()
	pair(t, l)
	l.Close()
	if _, err := l.DialContext(t.Context(), "", ""); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dialling a closed listener: %v", err)
	}
}

func TestBlocksDurably(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pair(t, memnet.Listen())
		defer near.Close()
		defer far.Close()
		near.SetReadDeadline(time.Now().Add(time.Hour))
		began := time.Now()
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Hour {
			t.Errorf("read failed after %s: %v", time.Since(began), err)
		}
		go far.Write(bytes.Repeat([]byte("x"), 1<<20)) // more than fits
		synctest.Wait()
		near.SetReadDeadline(time.Time{})
		if _, err := io.ReadFull(near, make([]byte, 1<<20)); err != nil {
			t.Error(err)
		}
	})
}
