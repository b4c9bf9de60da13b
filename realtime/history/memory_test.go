package history

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// keep appends and returns the receipt.
func keep(t *testing.T, l *Memory, m Message) Receipt {
	t.Helper()
	var got Receipt
	l.Append(m, func(r Receipt, err error) {
		if err != nil {
			t.Fatal(err)
		}
		got = r
	})
	return got
}

func count(t *testing.T, l *Memory, channel string) int {
	t.Helper()
	got, err := l.Read(t.Context(), Query{Channel: channel})
	if err != nil {
		t.Fatal(err)
	}
	return len(got)
}

func TestMemoryKeepsWithinBounds(t *testing.T) {
	at := noon
	for _, c := range []struct {
		name      string
		retention Retention
		total     int64
		want      int
	}{
		{"count", Retention{Count: 10}, 0, 10},
		{"age", Retention{Age: 5 * time.Second}, 0, 6},
		{"bytes", Retention{Bytes: 20 * (overhead + 4)}, 0, 20},
		{"total", Retention{}, 30 * (overhead + 4), 30},
		{"none", Retention{}, 0, 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := NewMemory(c.retention, c.total)
			l.now = func() time.Time { return at }
			for i := range 1000 {
				at = noon.Add(time.Duration(i) * time.Second)
				if r := keep(t, l, Message{Channel: "a", Time: at, Key: fmt.Sprint(i % 10), Data: []byte("abc")}); r.Duplicate {
					// The key of a message that is gone is free again.
					keep(t, l, Message{Channel: "a", Time: at, Data: []byte("abcd")})
				}
			}
			if got := count(t, l, "a"); got != c.want {
				t.Errorf("%d messages are kept; want %d", got, c.want)
			}
			if last, _ := l.Last(t.Context(), "a"); last != 1000 {
				t.Errorf("the last number is %d", last)
			}
		})
	}
}

func TestMemorySharesItsBound(t *testing.T) {
	l := NewMemory(Retention{}, 100*overhead)
	for range 3 {
		keep(t, l, Message{Channel: "quiet", Time: noon})
	}
	for range 1000 {
		keep(t, l, Message{Channel: "loud", Time: noon})
	}
	if got := count(t, l, "quiet"); got != 3 {
		t.Errorf("the quiet channel has %d of its 3 messages left", got)
	}
	if l.Bytes() > 100*overhead {
		t.Errorf("%d bytes are kept", l.Bytes())
	}
	// A channel below its share takes from the largest.
	for range 40 {
		keep(t, l, Message{Channel: "quiet", Time: noon})
	}
	if got := count(t, l, "quiet"); got != 43 {
		t.Errorf("the quiet channel has %d of 43 messages", got)
	}
	var err error
	l.Append(Message{Channel: "a", Data: make([]byte, 101*overhead)}, func(_ Receipt, e error) { err = e })
	if !errors.Is(err, ErrFull) {
		t.Errorf("what is larger than the bound gives %v", err)
	}
	l.Forget("loud")
	if count(t, l, "loud") != 0 || l.Bytes() != 43*overhead {
		t.Errorf("after one was forgotten %d bytes are kept", l.Bytes())
	}
}

// TestMemoryGivesUpChannels: strangers may name what they like.
func TestMemoryGivesUpChannels(t *testing.T) {
	l := NewMemory(Retention{Age: time.Hour}, 100*overhead)
	first := keep(t, l, Message{Channel: "first", Time: noon}).Seq
	for i := range 10_000 {
		keep(t, l, Message{Channel: fmt.Sprint(i), Time: noon})
	}
	if n := len(l.channels); n > 100 || l.Bytes() > 100*overhead {
		t.Errorf("%d channels with %d bytes are kept", n, l.Bytes())
	}
	for range 2 { // what is gone because it is old is gone like that, too
		if last, _ := l.Last(t.Context(), "first"); last < first {
			t.Errorf("the last number was %d, and is %d", first, last)
		}
		again := keep(t, l, Message{Channel: "first", Time: noon}).Seq
		if again <= first {
			t.Errorf("the number %d follows %d", again, first)
		}
		first = again
		l.now = func() time.Time { return noon.Add(2 * time.Hour) }
		if n := count(t, l, "first"); n != 0 || l.channels["first"] != nil {
			t.Errorf("%d old messages are kept", n)
		}
	}
}

func TestMemoryDelete(t *testing.T) {
	l := NewMemory(Retention{}, 0)
	keep(t, l, Message{Channel: "a", Key: "k", Data: []byte("secret")})
	keep(t, l, Message{Channel: "a", Data: []byte("x")})
	for i, want := range []bool{true, false} {
		if found, err := l.Delete(t.Context(), "a", 1); found != want || err != nil {
			t.Errorf("deletion %d says %v, %v", i+1, found, err)
		}
	}
	if found, err := l.Delete(t.Context(), "b", 1); found || err != nil {
		t.Errorf("deleting in an unknown channel says %v, %v", found, err)
	}
	if got := count(t, l, "a"); got != 1 {
		t.Errorf("%d messages are left", got)
	}
	if r := keep(t, l, Message{Channel: "a", Key: "k", Data: []byte("secret")}); r.Seq != 1 || !r.Duplicate {
		t.Errorf("a retry of a deleted message gives %+v", r)
	}
}

func TestSettle(t *testing.T) {
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	for _, c := range []struct {
		name                string
		now, last           time.Time
		nowUnset, lastUnset bool
		want                time.Time
	}{
		{"time goes on", at(time.Second), at(0), false, false, at(time.Second)},
		{"a small step back is hidden", at(-time.Second), at(0), false, false, at(0)},
		{"a large one is believed", at(-24 * time.Hour), at(0), false, false, at(-24 * time.Hour)},
		{"the clock was set back to the truth", at(-time.Second), at(0), false, true, at(-time.Second)},
		{"an unset clock never goes back", at(-24 * time.Hour), at(0), true, false, at(0)},
		{"an unset clock goes on", at(time.Second), at(0), true, true, at(time.Second)},
	} {
		if got := Settle(c.now, c.nowUnset, c.last, c.lastUnset); !got.Equal(c.want) {
			t.Errorf("%s: %v; want %v", c.name, got, c.want)
		}
	}
}
