package netcfg

// Preview says what settings would change on the observed system, as far as it
// can be known without asking a DHCP server. The link is where they would.
func Preview(settings Settings, observed *Snapshot) (link Link, changes []Change, found bool) {
	settings = settings.withDefaults()
	link, found = chooseLink(settings.Interface, observed, 0)
	if !found {
		return link, nil, false
	}
	if settings.Mode == ModeObserve {
		return link, nil, true
	}
	desired := Desired{Link: link.Name, Index: link.Index, Up: true}
	if settings.Mode == ModeStatic {
		desired.addStatic(settings.Static, settings.Static.Addresses)
	}
	for _, change := range Plan(desired, observed) {
		if settings.Mode == ModeDHCP && (change.Op == RemoveAddr && change.Addr.Origin == FromLease ||
			change.Op == RemoveRoute && change.Route.Origin == FromLease) {
			continue // what we have leased we would ask for again
		}
		changes = append(changes, change)
	}
	return link, changes, true
}
