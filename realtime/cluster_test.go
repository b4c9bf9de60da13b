package realtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/adapter"
	"server22.local/appliance/realtime/packet"
)

// The cluster of this file shows that adapter.Adapter is enough for one: all
// that its servers tell each other is bytes.

// cluster joins servers of one process, as a broker would those of several.
type cluster struct {
	mu    sync.Mutex
	peers map[string][]*server // by namespace
}

// command is what one server tells the others.
type command struct {
	Kind    string          `json:"kind"`
	Packet  [][]byte        `json:"packet,omitempty"`
	Options adapter.Options `json:"options"`
	Rooms   []string        `json:"rooms,omitempty"`
	How     adapter.Closing `json:"how,omitempty"`
	Args    []packet.Value  `json:"args,omitempty"`
}

// server is the adapter of one server.
type server struct {
	*adapter.Memory
	local   adapter.Local
	cluster *cluster
	name    string
}

func (c *cluster) adapter(namespace string, local adapter.Local) adapter.Adapter {
	p := &server{Memory: adapter.NewMemory(local), local: local, cluster: c, name: namespace}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.peers == nil {
		c.peers = make(map[string][]*server)
	}
	c.peers[namespace] = append(c.peers[namespace], p)
	return p
}

func (p *server) others() []*server {
	p.cluster.mu.Lock()
	defer p.cluster.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.cluster.peers[p.name]), func(o *server) bool { return o == p })
}

// tell has the others run a command, having sent it as bytes.
func (p *server) tell(c command, run func(o *server, c command)) {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	for _, o := range p.others() {
		var received command
		if err := json.Unmarshal(text, &received); err != nil {
			panic(err)
		}
		run(o, received)
	}
}

func frames(p *packet.Packet) (list [][]byte) {
	encoded, err := packet.MessagePack.Encode(nil, p)
	if err != nil {
		panic(err)
	}
	return [][]byte{encoded[0].Data}
}

func (c *command) packet() *packet.Packet {
	p, err := packet.MessagePack.NewDecoder(packet.Limits{}).Decode(packet.Frame{Data: c.Packet[0], Binary: true})
	if err != nil {
		panic(err)
	}
	return p
}

func (p *server) Broadcast(pk *packet.Packet, o adapter.Options) {
	p.Memory.Broadcast(pk, o)
	if !o.Flags.Local {
		p.tell(command{Kind: "broadcast", Packet: frames(pk), Options: o}, func(o *server, c command) {
			o.Memory.Broadcast(c.packet(), c.Options)
		})
	}
}

func (p *server) BroadcastWithAck(ctx context.Context, pk *packet.Packet, o adapter.Options, expect func([]string), answer func(adapter.Answer)) error {
	var remote []func()
	p.tell(command{Kind: "ask", Packet: frames(pk), Options: o}, func(o *server, c command) {
		var members []adapter.Member
		var ids []string
		o.Memory.Sockets(c.Options, func(m adapter.Member) bool {
			members, ids = append(members, m), append(ids, m.ID())
			return true
		})
		expect(ids)
		pk := c.packet()
		id, stop := o.local.Expect(members, answer)
		pk.ID = id
		context.AfterFunc(ctx, stop)
		remote = append(remote, func() { o.local.Deliver(members, pk, c.Options.Flags) })
	})
	err := p.Memory.BroadcastWithAck(ctx, pk, o, expect, answer)
	for _, deliver := range remote {
		deliver()
	}
	return err
}

func (p *server) FetchSockets(ctx context.Context, o adapter.Options) ([]adapter.SocketInfo, error) {
	infos, err := p.Memory.FetchSockets(ctx, o)
	p.tell(command{Kind: "fetch", Options: o}, func(o *server, c command) {
		more, _ := o.Memory.FetchSockets(ctx, c.Options)
		infos = append(infos, more...)
	})
	return infos, err
}

func (p *server) AddSockets(o adapter.Options, rooms []string) {
	p.Memory.AddSockets(o, rooms)
	p.tell(command{Kind: "add", Options: o, Rooms: rooms}, func(o *server, c command) { o.Memory.AddSockets(c.Options, c.Rooms) })
}

func (p *server) DelSockets(o adapter.Options, rooms []string) {
	p.Memory.DelSockets(o, rooms)
	p.tell(command{Kind: "del", Options: o, Rooms: rooms}, func(o *server, c command) { o.Memory.DelSockets(c.Options, c.Rooms) })
}

func (p *server) DisconnectSockets(o adapter.Options, how adapter.Closing) {
	p.Memory.DisconnectSockets(o, how)
	p.tell(command{Kind: "disconnect", Options: o, How: how}, func(o *server, c command) { o.Memory.DisconnectSockets(c.Options, c.How) })
}

func (p *server) ServerSideEmit(ctx context.Context, args []packet.Value, answer func([]packet.Value)) error {
	p.tell(command{Kind: "emit", Args: args}, func(o *server, c command) { o.local.ServerSide(c.Args, answer) })
	return ctx.Err()
}

func (p *server) ServerCount(context.Context) (int, error) { return 1 + len(p.others()), nil }

func ruleClusterThroughTheAdapter(t *testing.T, w world) {
	c := &cluster{}
	a := realtime.New(realtime.Options{Adapter: c.adapter})
	b := realtime.New(realtime.Options{Adapter: c.adapter})
	onA := w.dial(t, serve(t, a))
	onA.say("40")
	idA, _ := onA.greeting()
	onB := w.dial(t, serve(t, b))
	onB.say("40")
	idB, _ := onB.greeting()

	a.Emit("hello", []byte("bytes"))
	for _, client := range []*peer{onA, onB} {
		client.expect(`451-["hello",{"_placeholder":true,"num":0}]`)
		client.expect("bytes")
	}
	a.Local().Emit("here")
	onA.expect(`42["here"]`)
	a.In(idB).Join("room")
	a.To("room").Emit("to b")
	onB.expect(`42["to b"]`)

	sockets, err := a.To("room").FetchSockets(t.Context())
	if err != nil || len(sockets) != 1 || sockets[0].ID != idB || !slices.Contains(sockets[0].Rooms, "room") {
		t.Errorf("%+v, %v", sockets, err)
	}
	sockets[0].Emit("to you")
	onB.expect(`42["to you"]`)

	for i, client := range []*peer{onA, onB} {
		go func() {
			question := client.hear()
			client.say("43" + strings.TrimSuffix(strings.TrimPrefix(question, "42"), `["q"]`) + "[" + string(rune('1'+i)) + "]")
		}()
	}
	answers := map[string]int{}
	for id, answer := range realtime.AskAll[int](t.Context(), a.Timeout(5*time.Second), "q") {
		if answer.Err != nil {
			t.Errorf("%s: %v", id, answer.Err)
		}
		answers[id] = answer.Value
	}
	if answers[idA] != 1 || answers[idB] != 2 || len(answers) != 2 {
		t.Errorf("answers %v", answers)
	}

	b.OnServerSide("count", func(args realtime.Args) (any, error) {
		var n int
		err := args.Scan(&n)
		return n + 1, err
	})
	var counts []int
	for answer := range realtime.AskServers[int](t.Context(), a.Namespace, "count", 41) {
		counts = append(counts, answer.Value)
	}
	if !slices.Equal(counts, []int{42}) {
		t.Errorf("servers answered %v", counts)
	}
	if n, err := a.Adapter().ServerCount(t.Context()); n != 2 || err != nil {
		t.Errorf("%d servers, %v", n, err)
	}
	a.To("room").Disconnect()
	onB.expect("41")
}

// ruleClusterLosses: who asks sockets of other servers learns at once that one
// of them will not answer.
func ruleClusterLosses(t *testing.T, w world) {
	c := &cluster{}
	a := realtime.New(realtime.Options{Adapter: c.adapter})
	b := realtime.New(realtime.Options{Adapter: c.adapter})
	client := w.dial(t, serve(t, b))
	client.say("40")
	id, _ := client.greeting()
	go func() {
		client.hear()
		client.say("41")
	}()
	n := 0
	for socket, answer := range realtime.AskAll[int](t.Context(), a.Timeout(patience), "q") {
		if n++; socket != id || !errors.Is(answer.Err, realtime.ErrDisconnected) {
			t.Errorf("%s answers %v", socket, answer.Err)
		}
	}
	if n != 1 {
		t.Errorf("%d answers", n)
	}
}

// TestClusterDrops: so it is if the other server drops the question.
func TestClusterDrops(t *testing.T) {
	c := &cluster{}
	a := realtime.New(realtime.Options{Adapter: c.adapter})
	b := realtime.New(realtime.Options{Adapter: c.adapter})
	sockets := make(chan *realtime.Socket, 1)
	b.OnConnect(func(s *realtime.Socket) { sockets <- s })
	peer := dialRaw(t, serve(t, b))
	peer.connect()
	s := <-sockets
	for s.Volatile().Emit("news", strings.Repeat("x", 100_000)) == nil { // until its connection takes no more
		time.Sleep(time.Millisecond)
	}
	for id, answer := range realtime.AskAll[int](t.Context(), a.Volatile().Timeout(patience), "q") {
		if id != s.ID() || !errors.Is(answer.Err, realtime.ErrDropped) {
			t.Errorf("%s answers %v", id, answer.Err)
		}
	}
}

// ruleClusterIDs: what another server asks does not get into the way of what
// this one asks, though each counts for itself.
func ruleClusterIDs(t *testing.T, w world) {
	c := &cluster{}
	a := realtime.New(realtime.Options{Adapter: c.adapter})
	b := realtime.New(realtime.Options{Adapter: c.adapter})
	sockets := make(chan *realtime.Socket, 1)
	b.OnConnect(func(s *realtime.Socket) { sockets <- s })
	client := w.dial(t, serve(t, b)).connect()
	answer := func(with string) (id string) {
		text := client.hear()
		id, _, _ = strings.Cut(strings.TrimPrefix(text, "42"), "[")
		if with != "" {
			client.say("43" + id + with)
		}
		return id
	}

	asked := make(chan int, 1)
	socket := <-sockets
	go func() {
		n, err := realtime.Ask[int](t.Context(), socket, "own question")
		if err != nil {
			t.Error(err)
		}
		asked <- n
	}()
	own := answer("") // later
	for n := range 3 {
		answered := make(chan string)
		go func() { answered <- answer("[" + string(rune('0'+n)) + "]") }()
		for _, got := range realtime.AskAll[int](t.Context(), a.Timeout(5*time.Second), "question") {
			if got.Value != n || got.Err != nil {
				t.Errorf("%+v", got)
			}
		}
		if id := <-answered; id == own {
			t.Errorf("two questions have the id %s", id)
		}
	}
	client.say("43" + own + "[6]")
	if got := <-asked; got != 6 {
		t.Errorf("answered %d", got)
	}
}
