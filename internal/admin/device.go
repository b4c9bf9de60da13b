package admin

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"server22.local/appliance/internal/problem"
)

func (a *API) getSockets(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, struct {
		Sockets []Socket `json:"sockets"`
	}{a.Backend.Sockets()})
}

func (a *API) deleteSocket(w http.ResponseWriter, r *http.Request) error {
	if !a.Backend.CloseSocket(r.PathValue("sid")) {
		return problem.New(http.StatusNotFound, "no_socket", "there is no such connection", "it may have ended")
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) getRooms(w http.ResponseWriter, r *http.Request) error {
	rooms, err := a.Backend.Rooms(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, struct {
		Rooms []Room `json:"rooms"`
	}{rooms})
}

func (a *API) getNetwork(w http.ResponseWriter, r *http.Request) error {
	network, err := a.Backend.Network(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, network)
}

// networkChange is what the page may change; what it leaves out stays.
type networkChange struct {
	Mode      string   `json:"mode"`
	Addresses []string `json:"addresses"`
	Gateway   string   `json:"gateway"`
	DNS       []string `json:"dns"`
}

func (c networkChange) settings() map[string]*string {
	changes := map[string]*string{"net.mode": &c.Mode}
	for key, text := range map[string]string{
		"net.static.addresses": strings.Join(c.Addresses, ","),
		"net.static.gateway":   c.Gateway,
		"net.static.dns":       strings.Join(c.DNS, ","),
	} {
		if text != "" {
			changes[key] = &text
		}
	}
	return changes
}

func (a *API) tryNetwork(w http.ResponseWriter, r *http.Request) error {
	change, err := readJSON[networkChange](w, r)
	if err != nil {
		return err
	}
	if err := a.Backend.TryNetwork(r.Context(), change.settings()); err != nil {
		return err
	}
	return a.getNetwork(w, r)
}

func (a *API) confirmNetwork(w http.ResponseWriter, r *http.Request) error {
	if err := a.Backend.ConfirmNetwork(r.Context(), arrivedAt(r)); err != nil {
		return err
	}
	return a.getNetwork(w, r)
}

// arrivedAt is the address of ours that a request came to; none for the
// control socket, which proves that somebody is at the machine.
func arrivedAt(r *http.Request) netip.Addr {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return local.AddrPort().Addr().Unmap().WithZone("")
}

func (a *API) revertNetwork(w http.ResponseWriter, r *http.Request) error {
	if err := a.Backend.RevertNetwork(r.Context()); err != nil {
		return err
	}
	return a.getNetwork(w, r)
}

func (a *API) getBackup(w http.ResponseWriter, r *http.Request) error {
	name := fmt.Sprintf("appliance-%s.backup", time.Now().Format(time.DateOnly))
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
	return a.Backend.Backup(r.Context(), w)
}

func (a *API) getReport(w http.ResponseWriter, r *http.Request) error {
	name := fmt.Sprintf("appliance-%s.report.txt", time.Now().Format(time.DateOnly))
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
	return a.Backend.Report(r.Context(), w)
}

func (a *API) putBackup(w http.ResponseWriter, r *http.Request) error {
	if err := a.Backend.Restore(r.Context(), io.Reader(r.Body)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
