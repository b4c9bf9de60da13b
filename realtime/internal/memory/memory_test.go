package memory

import (
	"sync"
	"testing"
)

func TestClass(t *testing.T) {
	last := -1
	for n := Min; n <= most; n++ {
		pool, size := class(n)
		if pool < 0 || pool >= len(pools) || pool < last || pool > last+1 {
			t.Fatalf("%d bytes: pool %d after %d", n, pool, last)
		}
		if size < n || size-n > n/4 {
			t.Fatalf("%d bytes: room for %d", n, size)
		}
		if same, _ := class(size); same != pool {
			t.Fatalf("%d bytes: pool %d, but its memory belongs to %d", n, pool, same)
		}
		last = pool
	}
}

func TestLease(t *testing.T) {
	l := Lend(Clone(make([]byte, Min+1)))
	if !l.Hold() {
		t.Fatal("cannot be held while somebody holds it")
	}
	l.Release()
	if !l.Hold() {
		t.Fatal("has gone with one of two holders")
	}
	l.Release()
	l.Release()
	if l.Hold() {
		t.Fatal("can be held when nobody holds it any more")
	}
}

// TestShared has many use the same memory: with -race, two who have it at once
// are found.
func TestShared(t *testing.T) {
	var users sync.WaitGroup
	for i := range 8 {
		users.Go(func() {
			for n := range 2000 {
				b := Make(Min + n)
				if len(b) != 0 || cap(b) < Min+n {
					t.Errorf("%d of %d bytes, wanted room for %d", len(b), cap(b), Min+n)
				}
				b = append(b, byte(i))
				l := Lend(b)
				if l.Hold() {
					l.Release()
				}
				if b[0] != byte(i) {
					t.Errorf("somebody else has written into memory in use")
				}
				l.Release()
			}
		})
	}
	users.Wait()
}

// Memory that does not come from here is not taken.
func TestForeign(t *testing.T) {
	for _, n := range []int{0, 1, Min - 1, Min + 1, most + 1} {
		Lend(make([]byte, n)).Release()
		if b := Make(n); cap(b) < n {
			t.Errorf("room for %d, wanted %d", cap(b), n)
		}
	}
}
