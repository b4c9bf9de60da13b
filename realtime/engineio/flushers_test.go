package engineio

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
)

// TestFlushersReachEverySocket hands over many more sockets than one flusher
// is meant for, from several sides, and looks at what is left.
func TestFlushersReachEverySocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := NewServer(Options{}, nil)
		f := &server.flushers
		sockets := make([]*Socket, 10*flushCrowd)
		for i := range sockets {
			sockets[i] = &Socket{server: server}
			sockets[i].handed = true
		}
		for rest := range slices.Chunk(sockets, len(sockets)/4) {
			go func() {
				for len(rest) > 0 {
					n := min(1+rand.N(300), len(rest))
					f.add(rest[:n]...)
					rest = rest[n:]
					f.mu.Lock()
					if f.running > runtime.GOMAXPROCS(0) {
						t.Errorf("%d flushers", f.running)
					}
					f.mu.Unlock()
				}
			}()
		}
		synctest.Wait()
		for _, s := range sockets {
			if s.handed {
				t.Fatal("a socket was not flushed")
			}
		}
		if f.running != 0 || cap(f.waiting) > flushCrowd {
			t.Errorf("%d flushers left, and room for %d sockets", f.running, cap(f.waiting))
		}
	})
}

// TestFlushersKeepOrder has one flusher, which must not let a socket wait for
// those that came after it.
func TestFlushersKeepOrder(t *testing.T) {
	var f flushers
	f.running = 1 // it is the test
	sockets := make([]*Socket, 1000)
	for i := range sockets {
		sockets[i] = new(Socket)
	}
	var got []*Socket
	run := make([]*Socket, 7)
	for rest := sockets; len(rest) > 0; rest = rest[10:] {
		f.add(rest[:10]...)
		got = append(got, run[:f.take(run)]...)
	}
	for n := f.take(run); n > 0; n = f.take(run) {
		got = append(got, run[:n]...)
	}
	if !slices.Equal(got, sockets) {
		t.Error("not in order")
	}
}
