// Command load puts many people into one room of a running appliance and has
// some of them talk, and says what that costs:
//
//	go run ./test/load -url http://127.0.0.1:8080 -pid PID -clients 2000 -rate 200
//	go run ./test/load -url http://127.0.0.1:8080 -pid PID -clients 1 -outstanding 16
//
// With -rate, that many messages a second are sent in all, and the time until
// each reaches everybody is measured from when it was due. With -outstanding,
// each client has that many messages waiting for their acknowledgement, and the
// durable messages a second are counted, with what was written for them.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type options struct {
	url                         string
	pid, clients, rate, waiting int
	size                        int
	run                         time.Duration
}

func main() {
	log.SetFlags(0)
	var o options
	flag.StringVar(&o.url, "url", "http://127.0.0.1:8080", "of the appliance")
	flag.IntVar(&o.pid, "pid", 0, "of the appliance, for its CPU, memory and writes")
	flag.IntVar(&o.clients, "clients", 2000, "in the room")
	flag.IntVar(&o.rate, "rate", 0, "messages a second, in all")
	flag.IntVar(&o.waiting, "outstanding", 0, "messages that each client has waiting")
	flag.IntVar(&o.size, "size", 100, "bytes of text")
	flag.DurationVar(&o.run, "for", 15*time.Second, "how long")
	flag.Parse()
	if (o.rate == 0) == (o.waiting == 0) {
		log.Fatal("error: one of -rate and -outstanding is needed")
	}
	if err := run(o); err != nil {
		log.Fatal("error: ", err)
	}
}

func run(o options) error {
	var crowd crowd
	began := time.Now()
	if err := crowd.gather(o); err != nil {
		return err
	}
	defer crowd.end()
	fmt.Printf("%d clients joined in %v\n", o.clients, time.Since(began).Round(time.Millisecond))
	time.Sleep(2 * time.Second) // until the last heard of the last
	before := usage(o.pid)
	began = time.Now()
	if o.rate > 0 {
		crowd.talk(o)
	} else {
		crowd.press(o)
	}
	took := time.Since(began)
	spent := usage(o.pid).minus(before)
	crowd.report(o, took, spent)
	return nil
}

// crowd is everybody in the room.
type crowd struct {
	members []*member
	acks    atomic.Int64
	refused atomic.Int64
	heard   atomic.Int64

	mu    sync.Mutex
	delay []float64 // seconds, of some deliveries
}

func (c *crowd) gather(o options) error {
	const atOnce = 50
	c.members = make([]*member, o.clients)
	errs := make(chan error, o.clients)
	slots := make(chan struct{}, atOnce)
	for i := range c.members {
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			m, err := join(o.url, "load", fmt.Sprintf("p%d", i), c)
			c.members[i] = m
			errs <- err
		}()
	}
	for range c.members {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}

func (c *crowd) end() {
	for _, m := range c.members {
		m.close()
	}
}

// text carries the time at which it was due.
func text(due time.Time, size int) string {
	stamp := "@" + strconv.FormatInt(due.UnixNano(), 10) + "@"
	return stamp + strings.Repeat("x", max(0, size-len(stamp)))
}

// talk sends at a steady rate, one client after the other.
func (c *crowd) talk(o options) {
	begin := time.Now()
	for i := 0; ; i++ {
		due := begin.Add(time.Duration(float64(i) / float64(o.rate) * float64(time.Second)))
		if due.Sub(begin) > o.run {
			break
		}
		time.Sleep(time.Until(due))
		c.members[i%len(c.members)].say(text(due, o.size))
	}
	time.Sleep(time.Second) // what is still under way
}

// press has every client always wait for so many acknowledgements.
func (c *crowd) press(o options) {
	end := time.Now().Add(o.run)
	for _, m := range c.members {
		m.again = func() {
			if time.Now().Before(end) {
				m.say(text(time.Now(), o.size))
			}
		}
		for range o.waiting {
			m.again()
		}
	}
	time.Sleep(time.Until(end))
}

func (c *crowd) report(o options, took time.Duration, u resources) {
	acks, heard := c.acks.Load(), c.heard.Load()
	fmt.Printf("acknowledged %d, %.0f/s; refused %d\n", acks, float64(acks)/took.Seconds(), c.refused.Load())
	expected := acks * int64(o.clients-1)
	if expected > 0 {
		fmt.Printf("delivered about %d of %d, %.0f/s; %.2f us of the appliance's CPU each\n",
			heard, expected, float64(heard)/took.Seconds(), u.cpu/float64(max(1, heard))*1e6)
	}
	if len(c.delay) > 0 {
		slices.Sort(c.delay)
		at := func(q float64) float64 { return c.delay[int(q*float64(len(c.delay)-1))] * 1000 }
		fmt.Printf("until heard: p50 %.1f ms, p90 %.1f ms, p99 %.1f ms, most %.1f ms\n", at(.5), at(.9), at(.99), at(1))
	}
	if o.pid > 0 && acks > 0 {
		fmt.Printf("the appliance: CPU %.0f %%, %.1f us a message; written %.0f B a message; RSS %.1f MB\n",
			u.cpu/took.Seconds()*100, u.cpu/float64(acks)*1e6,
			float64(u.written)/float64(acks), float64(u.rss)/1e6)
	}
}

// resources are what the kernel says of a process (proc(5)).
type resources struct {
	cpu     float64 // seconds
	written int64   // bytes
	rss     int64   // bytes, now
}

func (r resources) minus(b resources) resources {
	return resources{r.cpu - b.cpu, r.written - b.written, r.rss}
}

func usage(pid int) (u resources) {
	if pid == 0 {
		return u
	}
	dir := fmt.Sprintf("/proc/%d/", pid)
	if stat, err := os.ReadFile(dir + "stat"); err == nil {
		_, rest, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(rest)
		user, _ := strconv.ParseFloat(fields[11], 64)
		system, _ := strconv.ParseFloat(fields[12], 64)
		rss, _ := strconv.ParseInt(fields[21], 10, 64)
		u.cpu, u.rss = (user+system)/100, rss*int64(os.Getpagesize())
	}
	if io, err := os.ReadFile(dir + "io"); err == nil {
		for line := range strings.Lines(string(io)) {
			if value, ok := strings.CutPrefix(line, "write_bytes: "); ok {
				u.written, _ = strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			}
		}
	}
	return u
}
