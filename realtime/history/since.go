package history

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"
)

// Since is a point from which to give back: exclusively after a number, or a
// duration back from now. In JSON it is a number, or a string: "41", "10m", or
// "all". The zero value asks for nothing.
type Since struct {
	// Given says that the client asked at all; 0 is a number, too.
	Given bool
	Seq   uint64
	Back  time.Duration
}

var errSince = errors.New(`since is a number, a duration such as "10m", or "all"`)

// ParseSince reads a number, a Go duration, or "all". Empty asks for nothing.
func ParseSince(s string) (Since, error) {
	switch s {
	case "":
		return Since{}, nil
	case "all":
		return Since{Given: true}, nil
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return Since{Given: true, Seq: n}, nil
	}
	back, err := time.ParseDuration(s)
	if err != nil || back < 0 {
		return Since{}, errSince
	}
	return Since{Given: true, Back: back}, nil
}

// UnmarshalJSON reads a number, a string, or null, which asks for nothing.
func (s *Since) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*s = Since{}
		return nil
	}
	text := string(b)
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &text); err != nil {
			return errSince
		}
	}
	got, err := ParseSince(text)
	if err != nil {
		return err
	}
	*s = got
	return nil
}

// Query asks a channel for what came since, oldest first.
func (s Since) Query(channel string, now time.Time) Query {
	q := Query{Channel: channel, After: s.Seq}
	if s.Back > 0 {
		q.Since = now.Add(-s.Back)
	}
	return q
}
