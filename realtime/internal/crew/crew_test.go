package crew

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCrew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sum int
		c := New(func(n int) {
			mu.Lock()
			defer mu.Unlock()
			sum += n
		})
		idle := func(want int) {
			t.Helper()
			synctest.Wait()
			if got := len(c.idle); got != want {
				t.Errorf("%d goroutines wait, want %d", got, want)
			}
		}
		c.Work(1)
		idle(0) // nobody has entered
		c.Enter()
		c.Enter()
		for range 10 {
			c.Work(1)
			synctest.Wait()
		}
		idle(1)
		mu.Lock()
		for range 2 * maxIdle {
			c.Work(1)
		}
		mu.Unlock()
		idle(maxIdle)
		c.Leave()
		idle(maxIdle)
		c.Leave()
		idle(0)
		if want := 11 + 2*maxIdle; sum != want {
			t.Errorf("%d pieces of work were done, want %d", sum, want)
		}
	})
}

func BenchmarkWork(b *testing.B) {
	c := New(func(done chan struct{}) { done <- struct{}{} })
	c.Enter()
	defer c.Leave()
	done := make(chan struct{})
	b.ReportAllocs()
	for b.Loop() {
		c.Work(done)
		<-done
		runtime.Gosched() // it shall be idle again
	}
}
