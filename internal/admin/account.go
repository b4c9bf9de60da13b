package admin

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Errors of an Account.
var (
	ErrClaimed   = errors.New("this device has an administrator already")
	ErrUnclaimed = errors.New("this device has no administrator yet")
	ErrWrong     = errors.New("not right")
	ErrTooOften  = errors.New("too many attempts")
	ErrWeak      = fmt.Errorf("a password needs at least %d characters", MinPassword)
)

const (
	// sessionLife is how long a session lasts after its last use.
	sessionLife = 7 * 24 * time.Hour
	// maxSessions bounds what logins can make us keep; the oldest goes.
	maxSessions = 64
	// attemptEvery and attemptBurst let a person slip, and a program guess
	// about 14,000 times a day, of 2^40 codes.
	attemptEvery = 6 * time.Second
	attemptBurst = 5
)

// Account is the one administrator. Safe for concurrent use.
type Account struct {
	save     func(hash string) error
	attempts *rate.Limiter

	mu       sync.Mutex // guards all following fields
	hash     string
	code     string
	sessions map[[sha256.Size]byte]time.Time // by hashed token: last use
	changed  chan struct{}                   // closed at the next claim, password or reset
}

// NewAccount returns the account with that password hash; "" is not claimed
// yet. save keeps a new hash; it is called with the account locked.
func NewAccount(hash string, save func(hash string) error) *Account {
	return &Account{
		save: save, attempts: rate.NewLimiter(rate.Every(attemptEvery), attemptBurst),
		hash: hash, code: newCode(), sessions: map[[sha256.Size]byte]time.Time{},
		changed: make(chan struct{}),
	}
}

// Claimed reports whether there is an administrator.
func (a *Account) Claimed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hash != ""
}

// Code is what claims the account, "" when it is claimed. It is another at
// each start.
func (a *Account) Code() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hash != "" {
		return ""
	}
	return a.code
}

// Changed returns a channel that is closed at the next claim, password or
// reset. Ask for it before looking.
func (a *Account) Changed() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.changed
}

// SetHash follows a change of the configuration. Sessions of another password
// end.
func (a *Account) SetHash(hash string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if hash != a.hash {
		a.become(hash)
	}
}

// become takes a password and ends every session; the caller holds the lock.
func (a *Account) become(hash string) {
	a.hash = hash
	clear(a.sessions)
	close(a.changed)
	a.changed = make(chan struct{})
}

// Claim sets the first password, and opens a session.
func (a *Account) Claim(code, password string) (token string, err error) {
	if !a.attempts.Allow() {
		return "", ErrTooOften
	}
	if err := strong(password); err != nil {
		return "", err
	}
	hash := Hash(password)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hash != "" {
		return "", ErrClaimed
	}
	if subtle.ConstantTimeCompare([]byte(normalCode(code)), []byte(normalCode(a.code))) != 1 {
		return "", fmt.Errorf("the code is %w", ErrWrong)
	}
	if err := a.keep(hash); err != nil {
		return "", err
	}
	return a.open(), nil
}

// Login opens a session.
func (a *Account) Login(password string) (token string, err error) {
	if !a.attempts.Allow() {
		return "", ErrTooOften
	}
	a.mu.Lock()
	hash := a.hash
	a.mu.Unlock()
	if hash == "" {
		return "", ErrUnclaimed
	}
	if !Matches(hash, password) { // slow, so the lock is not held
		return "", fmt.Errorf("the password is %w", ErrWrong)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hash != hash {
		return "", fmt.Errorf("the password is %w", ErrWrong)
	}
	return a.open(), nil
}

// SetPassword sets a new password, claimed or not, and ends every session. It
// is for those who have proved otherwise who they are.
func (a *Account) SetPassword(password string) error {
	if err := strong(password); err != nil {
		return err
	}
	hash := Hash(password)
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.keep(hash)
}

// ChangePassword is SetPassword for somebody who knows the old one, and returns
// a new session for him. It counts as one attempt, as Login does.
func (a *Account) ChangePassword(old, password string) (token string, err error) {
	if err := strong(password); err != nil {
		return "", err
	}
	if _, err := a.Login(old); err != nil {
		return "", err
	}
	hash := Hash(password)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.keep(hash); err != nil {
		return "", err
	}
	return a.open(), nil
}

// Reset makes the account unclaimed again, with a new code.
func (a *Account) Reset() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.code = newCode()
	return a.keep("")
}

// keep stores a hash first where it lasts, then here.
func (a *Account) keep(hash string) error {
	if err := a.save(hash); err != nil {
		return fmt.Errorf("keeping the password: %w", err)
	}
	a.become(hash)
	return nil
}

// Valid reports whether a session is open, and prolongs it.
func (a *Account) Valid(token string) bool {
	if token == "" {
		return false
	}
	id := sha256.Sum256([]byte(token))
	a.mu.Lock()
	defer a.mu.Unlock()
	used, ok := a.sessions[id]
	if !ok {
		return false
	}
	if time.Since(used) > sessionLife {
		delete(a.sessions, id)
		return false
	}
	a.sessions[id] = time.Now()
	return true
}

// Logout ends a session.
func (a *Account) Logout(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.sessions, sha256.Sum256([]byte(token)))
}

// open makes a session; the caller holds the lock.
func (a *Account) open() string {
	if len(a.sessions) >= maxSessions {
		a.dropOldest()
	}
	token := rand.Text()
	a.sessions[sha256.Sum256([]byte(token))] = time.Now()
	return token
}

func (a *Account) dropOldest() {
	var oldest [sha256.Size]byte
	var at time.Time
	for id, used := range a.sessions {
		if at.IsZero() || used.Before(at) {
			oldest, at = id, used
		}
	}
	delete(a.sessions, oldest)
}

func strong(password string) error {
	if len(password) < MinPassword || len(password) > maxPassword {
		return ErrWeak
	}
	return nil
}

// newCode returns 40 random bits as two groups of four letters and digits
// that are hard to mistake (rand.Text's alphabet has no 0, 1, 8, 9).
func newCode() string {
	text := rand.Text()
	return text[:4] + "-" + text[4:8]
}

// normalCode forgives how people type.
func normalCode(code string) string {
	return strings.ToUpper(strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, code))
}
