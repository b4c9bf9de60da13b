package api

import (
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"server22.local/appliance/internal/problem"
)

// writers bounds how often each address writes.
type writers struct {
	rate  rate.Limit
	burst int

	mu      sync.Mutex
	buckets map[string]*rate.Limiter
	swept   time.Time
}

// sweepEvery is how often addresses are forgotten that could write a whole
// burst again.
const sweepEvery = time.Minute

func newWriters(perSecond float64, burst int) writers {
	return writers{rate: rate.Limit(perSecond), burst: burst, buckets: make(map[string]*rate.Limiter)}
}

// check refuses a write that comes too soon.
func (w *writers) check(address string) error {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.swept) > sweepEvery {
		w.swept = now
		for address, bucket := range w.buckets {
			if bucket.TokensAt(now) >= float64(w.burst) {
				delete(w.buckets, address)
			}
		}
	}
	bucket := w.buckets[address]
	if bucket == nil {
		bucket = rate.NewLimiter(w.rate, w.burst)
		w.buckets[address] = bucket
	}
	if bucket.AllowN(now, 1) {
		return nil
	}
	return problem.New(http.StatusTooManyRequests, "too_often", "too many writes from this address", "write less often, or over one WebSocket")
}
