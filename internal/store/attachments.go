package store

import (
	"encoding/binary"
	"errors"
)

var errAttachments = errors.New("a message's attachments are cut off")

// pack puts binary parts into one value: each after its length (uvarint).
func pack(parts [][]byte) []byte {
	if len(parts) == 0 {
		return nil
	}
	size := 0
	for _, p := range parts {
		size += binary.MaxVarintLen64 + len(p)
	}
	b := make([]byte, 0, size)
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}

func unpack(b []byte) ([][]byte, error) {
	var parts [][]byte
	for len(b) > 0 {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > uint64(len(b)-k) {
			return nil, errAttachments
		}
		parts = append(parts, b[k:k+int(n)])
		b = b[k+int(n):]
	}
	return parts, nil
}
