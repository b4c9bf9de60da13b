package clock

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"
)

// ErrNoTime is returned for an answer that does not tell the time.
var ErrNoTime = errors.New("the server does not know the time")

// ntpEpoch is 1900 as seconds before 1970 (RFC 5905 §6).
const ntpEpoch = 2208988800

// ntpEra is how many seconds an era of NTP's 32 bits has: what seems to be
// before 1968 is in the next one, from 2036 on (RFC 4330 §3).
const ntpEra = 1 << 32

// Query asks a time server once (SNTP, RFC 4330) and returns the time when the
// answer arrived. addr is host:port; a time server's port is 123.
func Query(ctx context.Context, addr string) (time.Time, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", addr)
	if err != nil {
		return time.Time{}, fmt.Errorf("asking the time server %s: %w", addr, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	asked := time.Now()
	request := make([]byte, 48)
	request[0] = 4<<3 | 3 // version 4, client
	// Our send time comes back, and tells our answer from a forged one.
	cookie := uint64(asked.UnixNano())
	binary.BigEndian.PutUint64(request[40:], cookie)
	if _, err := conn.Write(request); err != nil {
		return time.Time{}, fmt.Errorf("asking the time server %s: %w", addr, err)
	}
	answer := make([]byte, 512)
	for {
		n, err := conn.Read(answer)
		if err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return time.Time{}, fmt.Errorf("waiting for the time server %s: %w", addr, err)
		}
		if n < 48 || binary.BigEndian.Uint64(answer[24:]) != cookie {
			continue
		}
		sent, err := parse(answer[:n])
		if err != nil {
			return time.Time{}, fmt.Errorf("the time server %s: %w", addr, err)
		}
		return sent.Add(time.Since(asked) / 2), nil
	}
}

// parse returns the server's transmit time.
func parse(answer []byte) (time.Time, error) {
	leap, mode, stratum := answer[0]>>6, answer[0]&7, answer[1]
	seconds := int64(binary.BigEndian.Uint32(answer[40:]))
	fraction := int64(binary.BigEndian.Uint32(answer[44:]))
	if leap == 3 || mode != 4 && mode != 5 || stratum == 0 || stratum > 15 || seconds == 0 {
		return time.Time{}, ErrNoTime
	}
	if seconds < 1<<31 {
		seconds += ntpEra
	}
	return time.Unix(seconds-ntpEpoch, fraction*1e9>>32), nil
}
