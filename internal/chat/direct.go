package chat

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"server22.local/appliance/internal/problem"
	"server22.local/appliance/realtime"
)

// directPrefix begins the name of a room of two. Nobody can open another room
// whose name begins like that.
const directPrefix = "direct:"

func isDirect(name string) bool { return strings.HasPrefix(name, directPrefix) }

// directName is the same whoever of the two asks.
func directName(a, b string) string {
	if b < a {
		a, b = b, a
	}
	sum := sha256.Sum256([]byte(a + "\x00" + b))
	return directPrefix + base64.RawURLEncoding.EncodeToString(sum[:12])
}

// invitation tells somebody of a room of two.
type invitation struct {
	Room string `json:"room"`
	From string `json:"from"`
}

// openDirect returns the name of the room of two for a guest and somebody who is
// here, and tells that somebody.
func (c *Chat) openDirect(s *realtime.Socket, to string, done func(string, error)) {
	c.mu.Lock()
	g := c.guests[s]
	if g == nil || g.nick == "" {
		c.mu.Unlock()
		done("", forbidden("no_nick", "join a room with your nick first", "nobody knows your name yet"))
		return
	}
	me := identity(g.device, g.nick)
	other, peer := c.somebody(to, me)
	c.mu.Unlock()
	if other == "" {
		done("", c.nobody(g.nick, to))
		return
	}
	name := directName(me, other)
	d := direct{Who: [2]string{me, other}, Nick: [2]string{g.nick, peer}}
	c.mu.Lock()
	_, known := c.directs[name]
	if !known {
		c.directs[name] = d
	}
	c.mu.Unlock()
	tell := func(err error) {
		if err != nil {
			done("", err)
			return
		}
		for _, socket := range c.socketsOf(other) {
			c.emit(socket, "invited", invitation{name, g.nick})
		}
		done(name, nil)
	}
	if known {
		tell(nil)
		return
	}
	c.keep(keyDirect+name, d, func(err error) {
		if err != nil { // the next attempt is to store it
			c.mu.Lock()
			delete(c.directs, name)
			c.mu.Unlock()
		}
		tell(err)
	})
}

func (c *Chat) nobody(me, to string) error {
	if fold(me) == fold(to) {
		return bad("yourself", "name somebody else", "you cannot talk to yourself directly")
	}
	return problem.New(http.StatusNotFound, "nobody", "nobody called "+to+" is here", "the members of a room are in the answer to join")
}

// somebody returns the identity and the name of somebody else who is here. c.mu is
// held.
func (c *Chat) somebody(nick, me string) (who, name string) {
	for _, g := range c.guests {
		if len(g.rooms) == 0 || fold(g.nick) != fold(nick) {
			continue
		}
		if id := identity(g.device, g.nick); id != me && (who == "" || id < who) {
			who, name = id, g.nick
		}
	}
	return who, name
}

// socketsOf returns the sockets of somebody.
func (c *Chat) socketsOf(who string) []*realtime.Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []*realtime.Socket
	for s, g := range c.guests {
		if identity(g.device, g.nick) == who {
			found = append(found, s)
		}
	}
	return found
}

// mayEnterDirect says whether somebody is one of the two. One without a token
// is known by the name alone: while the first who had it is in the room, nobody
// else with it gets in.
func (c *Chat) mayEnterDirect(s *realtime.Socket, device, name, nick string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, ok := c.directs[name]
	me := identity(device, nick)
	if !ok || !slices.Contains(d.Who[:], me) {
		return false
	}
	if device != "" {
		return true
	}
	r := c.rooms[name]
	if r == nil {
		return true
	}
	for _, other := range r.called(nick) {
		if other != s {
			return false
		}
	}
	return true
}

// peer returns the other's name in a room of two.
func (d direct) peer(me string) string {
	if d.Who[0] == me {
		return d.Nick[1]
	}
	return d.Nick[0]
}
