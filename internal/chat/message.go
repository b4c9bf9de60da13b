package chat

import (
	"encoding/json"

	"server22.local/appliance/realtime/history"
)

// Message is what was said, as everybody gets it.
type Message struct {
	Room string `json:"room"`
	Seq  uint64 `json:"seq"`
	Time int64  `json:"time"` // ms since 1970 UTC
	// Clock is false beside a time that a clock gave that nobody had set.
	Clock *bool  `json:"clock,omitempty"`
	Nick  string `json:"nick"`
	Text  string `json:"text"`
	ID    string `json:"id,omitempty"` // the sender's own
}

// content is a message as the log keeps it.
type content struct {
	Nick string `json:"nick"`
	Text string `json:"text"`
	ID   string `json:"id,omitempty"`
}

// Text returns what a search finds a message by.
func Text(m history.Message) string {
	var c content
	if err := json.Unmarshal(m.Data, &c); err != nil {
		return ""
	}
	return c.Text
}

func fromEntry(e history.Message) Message {
	var c content
	_ = json.Unmarshal(e.Data, &c) // it was encoded here; else it is empty
	return Message{e.Channel, e.Seq, e.Time.UnixMilli(), clock(e.ClockUnset), c.Nick, c.Text, c.ID}
}

func fromEntries(entries []history.Message) []Message {
	list := make([]Message, len(entries))
	for i, e := range entries {
		list[i] = fromEntry(e)
	}
	return list
}

// clock is the field beside a time: false while the clock was never set, and
// left out when it was.
func clock(unset bool) *bool {
	if !unset {
		return nil
	}
	return new(bool)
}

// Receipt is the acknowledgement of a message.
type Receipt struct {
	Seq   uint64 `json:"seq"`
	Time  int64  `json:"time"`
	Clock *bool  `json:"clock,omitempty"`
}

func newReceipt(r history.Receipt) Receipt {
	return Receipt{r.Seq, r.Time.UnixMilli(), clock(r.ClockUnset)}
}
