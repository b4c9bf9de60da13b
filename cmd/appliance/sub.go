package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"server22.local/appliance/realtime/client"
)

// busMessage is a value as subscribers receive it.
type busMessage struct {
	Topic  string       `json:"topic"`
	Data   client.Value `json:"data"`
	Seq    uint64       `json:"seq"`
	Time   int64        `json:"time"`
	Clock  *bool        `json:"clock,omitempty"`
	Retain bool         `json:"retain,omitempty"`
}

// line is the message as one JSON object; bytes are base64, and say so.
func (m busMessage) line() ([]byte, error) {
	object := map[string]any{"topic": m.Topic, "data": m.Data.JSON(), "seq": m.Seq, "time": m.Time}
	if raw, ok := m.Data.Bytes(); ok {
		object["data"], object["encoding"] = raw, "base64" // encoding/json writes bytes so
	}
	if m.Clock != nil {
		object["clock"] = *m.Clock
	}
	if m.Retain {
		object["retain"] = true
	}
	return json.Marshal(object)
}

// text is the value as a pipe wants it: strings without quotes, bytes as they
// are.
func (m busMessage) text() string {
	if raw, ok := m.Data.Bytes(); ok {
		return string(raw)
	}
	var s string
	if m.Data.Decode(&s) == nil && strings.HasPrefix(string(m.Data.JSON()), `"`) {
		return s
	}
	return string(m.Data.JSON())
}

// subscription is what the verb sub was asked for.
type subscription struct {
	target  target
	topics  []string
	since   string
	count   int
	format  string
	verbose bool
	json    bool
	noOld   bool
}

func newSub(inv *invocation) *cobra.Command {
	var s subscription
	cmd := &cobra.Command{
		Use:   "sub TOPIC...",
		Short: "Print what is published on the data bus",
		Long: `Print each value that is published on topics: strings and bytes as they are
(without control characters on a terminal), everything else as JSON, one a line.
+ stands for one level of a topic, # for all that follow. Retained values come
first.

--format knows {topic} {data} {seq} {time}. The connection is made again when
it is lost, and nothing that is still in the appliance's history is missed.`,
		Example: "  appliance sub lab/temp\n  appliance sub -v 'lab/#'\n  appliance sub -n 1 -W 10s lab/temp || echo silent",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s.topics = args
			return s.run(cmd.Context(), inv)
		},
	}
	s.target.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&s.since, "since", "", "begin with the history after a seq, or of the last `TIME`, as in 10m")
	f.IntVarP(&s.count, "count", "n", 0, "end after this many")
	f.StringVar(&s.format, "format", "", "print each as this `TEXT`")
	f.BoolVarP(&s.verbose, "verbose", "v", false, "print the topic before each value")
	f.BoolVar(&s.json, "json", false, "print each as a JSON object")
	f.BoolVar(&s.noOld, "no-retained", false, "leave out retained values")
	return cmd
}

var errEnough = errors.New("enough")

// run subscribes, prints, and subscribes again after each loss of the
// connection, from where it was.
func (s *subscription) run(ctx context.Context, inv *invocation) error {
	bounded, cancel := s.target.bound(ctx)
	defer cancel()
	c, err := inv.newClient(bounded, &s.target)
	if err != nil {
		return err
	}
	end := make(chan error, 1)
	finish := func(err error) {
		select {
		case end <- err:
		default:
		}
	}
	s.follow(c.Of("/bus"), inv, finish)
	if err := c.Connect(bounded); err != nil {
		return s.target.failure(bounded, err)
	}
	defer c.Wait()
	defer c.Close()
	return s.wait(bounded, end)
}

func (s *subscription) wait(ctx context.Context, end <-chan error) error {
	select {
	case err := <-end:
		if errors.Is(err, errEnough) {
			return nil
		}
		return s.target.failure(ctx, err)
	case <-ctx.Done():
		return ended(ctx)
	}
}

// follow prints what comes. All callbacks of a socket run one at a time, so
// that they share what they count without a lock.
func (s *subscription) follow(socket *client.Socket, inv *invocation, finish func(error)) {
	var last, floor uint64 // of what was printed, now and when the connection was made
	var printed int
	take := func(m busMessage) {
		if m.Seq != 0 && m.Seq <= floor || s.count > 0 && printed >= s.count {
			return
		}
		last = max(last, m.Seq)
		if err := s.print(inv, m); err != nil {
			finish(err)
			return
		}
		if printed++; printed == s.count {
			finish(errEnough)
		}
	}
	socket.OnConnect(func(ctx context.Context, socket *client.Socket) {
		// The first time what was asked for, then what was missed.
		since := sinceValue(s.since)
		if last > 0 {
			since = last
		}
		floor = last // what is retained comes first, and may be newer than what was missed
		ask := map[string]any{"topics": s.topics}
		if since != nil {
			ask["since"] = since
		}
		answer, err := client.Ask[struct {
			Retained []busMessage `json:"retained"`
		}](ctx, socket, "subscribe", ask)
		if err != nil {
			finish(err)
			return
		}
		for _, m := range answer.Retained {
			if !s.noOld || !m.Retain {
				take(m)
			}
		}
	})
	client.On(socket, "message", func(_ context.Context, _ *client.Socket, m busMessage) error {
		take(m)
		return nil
	})
	socket.OnError(func(_ *client.Socket, _ string, err error) { finish(err) })
}

// sinceValue is a seq as a number, a duration as a string.
func sinceValue(text string) any {
	if text == "" {
		return nil
	}
	if seq, err := strconv.ParseUint(text, 10, 64); err == nil {
		return seq
	}
	return text
}

func (s *subscription) print(inv *invocation, m busMessage) error {
	if s.json {
		line, err := m.line()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(inv.out, "%s\n", line)
		return err
	}
	format := s.format
	switch {
	case format != "":
	case s.verbose:
		format = "{topic} {data}"
	default:
		format = "{data}"
	}
	text := strings.NewReplacer(
		"{topic}", m.Topic, "{data}", m.text(), "{seq}", strconv.FormatUint(m.Seq, 10),
		"{time}", time.UnixMilli(m.Time).Format(time.RFC3339Nano),
	).Replace(format)
	if inv.out.onTerminal() {
		text = printable(text)
	}
	_, err := fmt.Fprintln(inv.out, text)
	return err
}
