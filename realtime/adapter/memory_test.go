package adapter

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"server22.local/appliance/realtime/packet"
)

// member is a socket as far as adapters care.
type member struct {
	id   string
	seat Seat
}

func (m *member) ID() string  { return m.id }
func (m *member) Seat() *Seat { return &m.seat }

func (m *member) Resume(*Restored) bool { return true }

// recorder is a namespace that remembers who was reached last.
type recorder struct {
	mu      sync.Mutex
	reached []string
}

func (r *recorder) Deliver(members []Member, _ *packet.Packet, _ Flags) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reached = r.reached[:0]
	for _, m := range members {
		r.reached = append(r.reached, m.ID())
	}
}

func (r *recorder) Describe(m Member) SocketInfo                    { return SocketInfo{ID: m.ID()} }
func (r *recorder) Disconnect(Member, Closing)                      {}
func (r *recorder) ServerSide([]packet.Value, func([]packet.Value)) {}
func (r *recorder) Expect([]Member, func(Answer)) (uint64, func()) {
	return 0, func() {}
}

// model is what Memory should be, written without any cunning.
type model map[string]map[string]bool // member → rooms

func (m model) choose(o Options) (ids []string) {
	for id, rooms := range m {
		in := len(o.Rooms) == 0 || slices.ContainsFunc(o.Rooms, func(r string) bool { return rooms[r] })
		if in && !slices.ContainsFunc(o.Except, func(r string) bool { return rooms[r] }) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func TestMemoryIsLikeItsModel(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		local := &recorder{}
		a := NewMemory(local)
		want := model{}
		members := map[string]*member{}
		pick := func() *member {
			ids := slices.Sorted(maps.Keys(members))
			if len(ids) == 0 {
				return nil
			}
			return members[ids[r.IntN(len(ids))]]
		}
		for step := range 600 {
			room := fmt.Sprint("r", r.IntN(6))
			m := pick()
			switch n := r.IntN(10); {
			case n < 2 || m == nil:
				id := fmt.Sprint("m", step)
				members[id] = &member{id: id}
				want[id] = map[string]bool{id: true}
				a.AddAll(members[id], id)
			case n < 5:
				a.AddAll(m, room)
				want[m.id][room] = true
			case n < 6:
				a.Del(m, room)
				delete(want[m.id], room)
			case n < 7:
				a.DelAll(m)
				a.AddAll(m, room) // too late
				delete(members, m.id)
				delete(want, m.id)
			default:
				o := Options{}
				for range r.IntN(3) {
					o.Rooms = append(o.Rooms, fmt.Sprint("r", r.IntN(6)))
				}
				for range r.IntN(3) {
					o.Except = append(o.Except, fmt.Sprint("r", r.IntN(6)))
				}
				a.Broadcast(nil, o)
				slices.Sort(local.reached)
				if !slices.Equal(local.reached, want.choose(o)) {
					t.Fatalf("seed %d step %d: %+v reached %v, not %v", seed, step, o, local.reached, want.choose(o))
				}
			}
			if m != nil && members[m.id] != nil {
				if got := a.SocketRooms(m); len(got) != len(want[m.id]) {
					t.Fatalf("seed %d step %d: %s is in %v, not in %v", seed, step, m.id, got, want[m.id])
				}
			}
		}
		for _, m := range members {
			a.DelAll(m)
		}
		if rooms := a.Rooms(); len(rooms) != 0 || len(a.all.members) != 0 {
			t.Errorf("seed %d: left behind: %v", seed, rooms)
		}
	}
}

func TestMemoryGivesMemoryBack(t *testing.T) {
	a := NewMemory(&recorder{})
	crowd := make([]*member, 10000)
	for i := range crowd {
		crowd[i] = &member{id: fmt.Sprint(i)}
		a.AddAll(crowd[i], "room")
	}
	for _, m := range crowd[100:] {
		a.DelAll(m)
	}
	if n := cap(a.rooms["room"].members); n > 1000 {
		t.Errorf("100 members take the place of %d", n)
	}
}

func TestMemoryConcurrently(t *testing.T) {
	a := NewMemory(&recorder{})
	var crowd sync.WaitGroup
	for i := range 8 {
		crowd.Go(func() {
			for n := range 300 {
				m := &member{id: fmt.Sprint(i, "-", n)}
				a.AddAll(m, m.id, "room", fmt.Sprint("room", n%3))
				a.Broadcast(nil, Options{Rooms: []string{"room"}, Except: []string{m.id}})
				a.AddSockets(Options{Rooms: []string{m.id}}, []string{"more"})
				a.DelSockets(Options{Rooms: []string{"room1"}}, []string{"room"})
				a.DelAll(m)
			}
		})
	}
	crowd.Wait()
	if rooms := a.Rooms(); len(rooms) != 0 {
		t.Errorf("left behind: %v", rooms)
	}
}

func BenchmarkBroadcast(b *testing.B) {
	for _, n := range []int{1, 100, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			a := NewMemory(&recorder{reached: make([]string, 0, n)})
			for i := range n {
				a.AddAll(&member{id: fmt.Sprint(i)}, "room")
			}
			o := Options{Rooms: []string{"room"}}
			b.ReportAllocs()
			for b.Loop() {
				a.Broadcast(nil, o)
			}
		})
	}
}

// TestWatcherPanics: one who panics is told of what happens later.
func TestWatcherPanics(t *testing.T) {
	a := NewMemory(&recorder{})
	var told []string
	a.Watch(func(c Change) {
		if c.Room == "panic" {
			panic("a watcher")
		}
		told = append(told, c.Room)
	})
	m := &member{id: "m"}
	func() {
		defer func() { recover() }()
		a.AddAll(m, "first", "panic", "second")
	}()
	a.AddAll(m, "third")
	if want := []string{"first", "second", "third"}; !slices.Equal(told, want) {
		t.Errorf("told of %q, want %q", told, want)
	}
}
