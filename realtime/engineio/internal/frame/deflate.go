package frame

import (
	"bytes"
	"compress/flate"
	"io"
	"sync"
)

// deflateTail is what RFC 7692 §7.2.1 cuts from a compressed message, and an
// empty final block, so that the decompressor sees a proper end.
const deflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

var (
	inflaters = sync.Pool{New: func() any { return flate.NewReader(nil) }}
	deflaters = sync.Pool{New: func() any {
		w, _ := flate.NewWriter(nil, flate.BestSpeed)
		return w
	}}
)

// inflate decompresses a message of at most limit bytes.
func inflate(p []byte, limit int64) ([]byte, error) {
	fr := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(fr)
	in := io.MultiReader(bytes.NewReader(p), bytes.NewReader([]byte(deflateTail)))
	if err := fr.(flate.Resetter).Reset(in, nil); err != nil {
		return nil, errDeflate
	}
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(fr, limit+1))
	switch {
	case err != nil:
		return nil, errDeflate
	case n > limit:
		return nil, ErrTooBig
	}
	return out.Bytes(), nil
}

// Deflate compresses a message as RFC 7692 §7.2.1 does, without context.
func Deflate(p []byte) []byte {
	var out bytes.Buffer
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&out)
	// Writing to a bytes.Buffer cannot fail.
	w.Write(p)
	w.Flush()
	return bytes.TrimSuffix(out.Bytes(), []byte(deflateTail[:4]))
}
