package adapter

// Change is what has happened to a room: a member has joined or left it.
type Change struct {
	Member  Member
	Room    string
	Left    bool // rather than joined
	Members int  // of the room afterwards: it was made if 1 joined, and is gone when 0 are left
}

// Watch has fn told of all changes of rooms, in their order and one at a time,
// soon after they were made. fn may use the adapter. Watch is called before
// there are members.
func (a *Memory) Watch(fn func(Change)) { a.watch = fn }

// note keeps a change for tell; mu is held.
func (a *Memory) note(m Member, r *room, left bool) {
	if a.watch != nil {
		a.changes = append(a.changes, Change{Member: m, Room: r.name, Left: left, Members: len(r.members)})
	}
}

// tell passes on what was noted, unless somebody is at it.
func (a *Memory) tell() {
	for changes := a.takeChanges(); changes != nil; changes = a.moreChanges() {
		a.tellOf(changes)
	}
}

// tellOf leaves what comes behind a panic to the next who tells.
func (a *Memory) tellOf(changes []Change) {
	i := 0
	defer func() {
		if i < len(changes) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.changes, a.telling = append(changes[i+1:], a.changes...), false
		}
	}()
	for ; i < len(changes); i++ {
		a.watch(changes[i])
	}
}

// takeChanges begins to tell, if there is something and nobody else does.
func (a *Memory) takeChanges() []Change {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.telling || len(a.changes) == 0 {
		return nil
	}
	a.telling = true
	changes := a.changes
	a.changes = nil
	return changes
}

// moreChanges goes on, or ends with nil.
func (a *Memory) moreChanges() []Change {
	a.mu.Lock()
	defer a.mu.Unlock()
	changes := a.changes
	a.changes, a.telling = nil, len(changes) > 0
	return changes
}
