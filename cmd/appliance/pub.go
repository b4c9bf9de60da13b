package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"server22.local/appliance/realtime/client"
)

// publication is what /bus takes as `publish`.
type publication struct {
	Topic   string `json:"topic"`
	Data    any    `json:"data"`
	Retain  bool   `json:"retain,omitempty"`
	Persist bool   `json:"persist,omitempty"`
}

func newPub(inv *invocation) *cobra.Command {
	var t target
	var p publication
	var lines, asJSON bool
	cmd := &cobra.Command{
		Use:   "pub TOPIC [VALUE]",
		Short: "Publish a value on the data bus",
		Long: `Publish a value on a topic: VALUE, or standard input as a whole, or each of its
lines (-l). A value that is valid JSON is that value (21.5 is a number), other
text is a string, anything else bytes. Exits when the appliance has it.`,
		Example: "  appliance pub lab/temp 21.5\n  appliance pub -r lab/door '{\"open\": true}'\n  vmstat -n 1 | appliance pub -l lab/vmstat",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.Topic = args[0]
			ctx, cancel := t.bound(cmd.Context())
			defer cancel()
			socket, err := inv.dial(ctx, &t, "/bus")
			if err != nil {
				return err
			}
			defer socket.Close()
			publish := func(text []byte) error {
				p.Data = value(text)
				return inv.publish(ctx, &t, socket, p, asJSON)
			}
			switch {
			case len(args) == 2 && args[1] != "-":
				return publish([]byte(args[1]))
			case lines:
				return eachLine(ctx, inv.in, publish)
			default:
				text, err := io.ReadAll(inv.in)
				if err != nil {
					return fmt.Errorf("reading the value: %w", err)
				}
				return publish(text)
			}
		},
	}
	t.addFlags(cmd)
	cmd.Flags().BoolVarP(&p.Retain, "retain", "r", false, "keep it as the topic's last value for those who come later")
	cmd.Flags().BoolVar(&p.Persist, "persist", false, "wait until it is on the disk")
	cmd.Flags().BoolVarP(&lines, "lines", "l", false, "publish each line of standard input")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer: {seq}")
	return cmd
}

// value is what a text means everywhere on the appliance: JSON if it is, else
// a string, else bytes (docs/protocol.md, Values).
func value(text []byte) any {
	switch {
	case json.Valid(text):
		var compact bytes.Buffer
		_ = json.Compact(&compact, text) // fails only for what is not valid
		return json.RawMessage(compact.Bytes())
	case utf8.Valid(text):
		return string(text)
	default:
		return bytes.Clone(text)
	}
}

func (inv *invocation) publish(ctx context.Context, t *target, socket *client.Socket, p publication, asJSON bool) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answer, err := client.Ask[map[string]any](ctx, socket, "publish", p)
	if err != nil {
		return t.failure(ctx, err)
	}
	if asJSON {
		return inv.printJSON(answer)
	}
	return nil
}

// maxLine is as much as a message may be in the first place.
const maxLine = 16 << 20

// eachLine calls f for every line that comes, until the end or an error.
func eachLine(ctx context.Context, in io.Reader, f func([]byte) error) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, maxLine)
	for scanner.Scan() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(scanner.Bytes()); err != nil {
			return err
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("reading lines: %w", err)
	}
	return nil
}
