package discovery

import "time"

// What is read from one socket: far more than any LAN has to say, and little
// enough that even the dearest packets leave most of a small CPU alone.
const (
	maxBurst = 2 << 20 // bytes
	maxRate  = 2 << 20 // bytes a second
)

// A budget bounds how much of a flood is looked at.
type budget struct {
	left int
	at   time.Time
}

// spend says whether n more bytes may be looked at.
func (b *budget) spend(now time.Time, n int) bool {
	if b.left < n {
		passed := min(now.Sub(b.at), time.Second)
		b.left = min(b.left+int(passed*maxRate/time.Second), maxBurst)
		b.at = now
	}
	if b.left < n {
		return false
	}
	b.left -= n
	return true
}
