package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"server22.local/appliance/realtime/client"
)

// chatMessage is a message of a room, as /chat sends it.
type chatMessage struct {
	Room string `json:"room"`
	Seq  uint64 `json:"seq"`
	Time int64  `json:"time"`
	Nick string `json:"nick"`
	Text string `json:"text"`
	ID   string `json:"id"`
}

// presence tells who comes and goes.
type presence struct {
	Room   string `json:"room"`
	Nick   string `json:"nick"`
	Joined bool   `json:"joined"`
}

// joined is the answer to `join`.
type joined struct {
	Room     string        `json:"room"`
	Messages []chatMessage `json:"messages"`
	Last     uint64        `json:"last"`
}

// conversation is what the verb chat was asked for.
type conversation struct {
	target target
	room   string
	nick   string
	device string
	inv    *invocation

	// Both are used by one socket's callbacks only.
	history bool   // print what was said before the join
	last    uint64 // of what was printed
}

func newChat(inv *invocation) *cobra.Command {
	c := conversation{inv: inv, device: rand.Text()}
	cmd := &cobra.Command{
		Use:   "chat [ROOM]",
		Short: "Talk in a chat room, from a terminal or a pipe",
		Long: `Join a room (default: lobby), print what is said, and say each line of standard
input. At the end of a pipe it leaves when everything it said is stored; on a
terminal with Ctrl-D or Ctrl-C.

On a terminal the last 50 messages come first; from a pipe only with --history.`,
		Example: "  appliance chat\n  echo 'backup done' | appliance chat --nick cron lab\n  appliance chat --history lab </dev/null",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c.room = "lobby"
			if len(args) == 1 {
				c.room = args[0]
			}
			return c.run(cmd.Context())
		},
	}
	c.target.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&c.nick, "nick", loginName(), "your `NAME` in the room")
	f.BoolVar(&c.history, "history", term.IsTerminal(int(os.Stdin.Fd())), "print the last messages first, as on a terminal")
	f.Lookup("history").DefValue = "false" // the manual is the same wherever it is written
	return cmd
}

func loginName() string {
	if account, err := user.Current(); err == nil {
		return account.Username
	}
	return "somebody"
}

func (c *conversation) run(ctx context.Context) error {
	ctx, cancel := c.target.bound(ctx)
	defer cancel()
	cl, err := c.inv.newClient(ctx, &c.target)
	if err != nil {
		return err
	}
	socket := cl.Of("/chat")
	joins := make(chan error, 1)
	c.listen(socket, joins)
	if err := cl.Connect(ctx); err != nil {
		return c.target.failure(ctx, err)
	}
	defer cl.Wait()
	defer cl.Close()
	select {
	case err := <-joins:
		if err != nil {
			return c.target.failure(ctx, err)
		}
	case <-ctx.Done():
		return ended(ctx)
	}
	return c.talk(ctx, socket)
}

// listen joins at every connection, from where the last one broke off, and
// prints what comes. The first join is told to joins.
func (c *conversation) listen(socket *client.Socket, joins chan<- error) {
	socket.OnConnect(func(ctx context.Context, socket *client.Socket) {
		err := c.join(ctx, socket)
		select {
		case joins <- err:
		default:
			if err != nil {
				fmt.Fprintf(c.inv.err, "error: joining again: %v\n", err)
			}
		}
	})
	socket.OnDisconnect(func(_ *client.Socket, why client.Reason) {
		if why != client.ReasonClientDisconnect {
			fmt.Fprintf(c.inv.err, "connection lost (%s); trying again\n", why)
		}
	})
	client.On(socket, "message", func(_ context.Context, _ *client.Socket, m chatMessage) error {
		c.print(m)
		return nil
	})
	client.On(socket, "presence", func(_ context.Context, _ *client.Socket, p presence) error {
		c.printPresence(p)
		return nil
	})
}

func (c *conversation) join(ctx context.Context, socket *client.Socket) error {
	ask := map[string]any{"room": c.room, "nick": c.nick}
	if c.last > 0 {
		ask["since"] = c.last
	}
	answer, err := client.Ask[joined](ctx, socket, "join", ask)
	if err != nil {
		return err
	}
	if !c.history {
		c.history, c.last = true, answer.Last // from here on, what a lost connection missed
	}
	for _, m := range answer.Messages {
		c.print(m)
	}
	return nil
}

func (c *conversation) print(m chatMessage) {
	if m.Room != "" && m.Room != c.room || m.Seq <= c.last {
		return
	}
	c.last = m.Seq
	fmt.Fprintf(c.inv.out, "%s <%s> %s\n", time.UnixMilli(m.Time).Format("15:04"), printable(m.Nick), strings.ReplaceAll(printable(m.Text), "\n", "\n      ")) // none begins like a message
}

func (c *conversation) printPresence(p presence) {
	verb := "left"
	if p.Joined {
		verb = "joined"
	}
	fmt.Fprintf(c.inv.err, "%s %s\n", printable(p.Nick), verb)
}

// printable keeps strangers' control characters from the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, text)
}

// talk says each line that comes, and ends with the input.
func (c *conversation) talk(ctx context.Context, socket *client.Socket) error {
	lines := c.lines(ctx)
	for {
		select {
		case <-ctx.Done():
			return ended(ctx)
		case line, more := <-lines:
			if !more {
				return nil
			}
			if err := c.say(ctx, socket, line); err != nil {
				return c.target.failure(ctx, err)
			}
		}
	}
}

// lines reads standard input in a goroutine of its own, which a read from a
// terminal holds up for ever: it ends with the process.
func (c *conversation) lines(ctx context.Context) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(c.inv.in)
		scanner.Buffer(nil, maxLine)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

// say sends a line until it is stored: the id, which is ours alone, keeps a
// repetition from being said twice.
func (c *conversation) say(ctx context.Context, socket *client.Socket, line string) error {
	if strings.TrimSpace(line) == "" {
		return nil
	}
	message := map[string]any{"room": c.room, "text": line, "id": c.device + "-" + rand.Text()}
	for {
		_, err := client.Ask[map[string]any](ctx, socket.Timeout(askTimeout), "message", message)
		if errors.Is(err, client.ErrDisconnected) || errors.Is(err, client.ErrAckTimeout) {
			continue
		}
		return err
	}
}
