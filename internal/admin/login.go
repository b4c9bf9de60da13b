package admin

import (
	"net/http"
)

// credentials are what claim, login and password take.
type credentials struct {
	Code     string `json:"code"`
	Password string `json:"password"`
	Old      string `json:"old"`
}

func (a *API) claim(w http.ResponseWriter, r *http.Request) error {
	c, err := readJSON[credentials](w, r)
	if err != nil {
		return err
	}
	token, err := a.Account.Claim(c.Code, c.Password)
	a.note(r, "the appliance was claimed", err)
	if err != nil {
		return err
	}
	setSession(w, token)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) login(w http.ResponseWriter, r *http.Request) error {
	c, err := readJSON[credentials](w, r)
	if err != nil {
		return err
	}
	token, err := a.Account.Login(c.Password)
	a.note(r, "the administrator logged in", err)
	if err != nil {
		return err
	}
	setSession(w, token)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// note tells the log who came in, or tried to.
func (a *API) note(r *http.Request, what string, err error) {
	if err != nil {
		a.Log.Warn("somebody was not let in as the administrator", "from", r.RemoteAddr, "err", err)
		return
	}
	a.Log.Info(what, "from", r.RemoteAddr)
}

func (a *API) logout(w http.ResponseWriter, r *http.Request) error {
	a.Account.Logout(SessionOf(r.Header))
	endSession(w)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) changePassword(w http.ResponseWriter, r *http.Request) error {
	c, err := readJSON[credentials](w, r)
	if err != nil {
		return err
	}
	token, err := a.Account.ChangePassword(c.Old, c.Password)
	if err != nil {
		return err
	}
	setSession(w, token)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) getCode(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, struct {
		Claimed bool   `json:"claimed"`
		Code    string `json:"code,omitempty"`
	}{a.Account.Claimed(), a.Account.Code()})
}

func (a *API) putPassword(w http.ResponseWriter, r *http.Request) error {
	c, err := readJSON[credentials](w, r)
	if err != nil {
		return err
	}
	if err := a.Account.SetPassword(c.Password); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) deletePassword(w http.ResponseWriter, _ *http.Request) error {
	if err := a.Account.Reset(); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
