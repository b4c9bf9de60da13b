package admin

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// MinPassword is the least number of bytes in a password.
const MinPassword = 8

// maxPassword bounds what is hashed.
const maxPassword = 1024

// Argon2id's cost: 19 MiB and two passes (RFC 9106 allows less memory where
// there is little; a Pi Zero takes about a second).
const (
	hashMemory  = 19 << 10 // KiB
	hashPasses  = 2
	hashThreads = 1
	hashLength  = 32
	saltLength  = 16
)

var b64 = base64.RawStdEncoding

// Hash returns what is kept of a password, in the PHC string format.
func Hash(password string) string {
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails (crypto/rand since Go 1.24)
	key := argon2.IDKey([]byte(password), salt, hashPasses, hashMemory, hashThreads, hashLength)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashPasses, hashThreads,
		b64.EncodeToString(salt), b64.EncodeToString(key))
}

// Matches reports whether a password is the one that was hashed. A hash that
// cannot be read matches nothing.
func Matches(hash, password string) bool {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || len(password) > maxPassword {
		return false
	}
	var version, memory, passes, threads int
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &passes, &threads); err != nil {
		return false
	}
	salt, saltErr := b64.DecodeString(parts[4])
	key, keyErr := b64.DecodeString(parts[5])
	if saltErr != nil || keyErr != nil || version != argon2.Version || !affordable(memory, passes, threads) || len(key) < 16 {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, uint32(passes), uint32(memory), uint8(threads), uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1
}

// affordable keeps a hash from a configuration file from exhausting the
// memory of a small device.
func affordable(memory, passes, threads int) bool {
	return memory >= 8 && memory <= 128<<10 && passes >= 1 && passes <= 16 && threads >= 1 && threads <= 8
}
