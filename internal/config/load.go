package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// envPrefix begins the name of every environment variable that is ours.
const envPrefix = "APPLIANCE_"

// otherVariables begin like a key's and are none: what the command line takes
// for --config and --url, and the daemon's control socket.
var otherVariables = []string{"APPLIANCE_CONFIG", "APPLIANCE_URL", "APPLIANCE_SOCKET"}

// SettingsFile is the name, within the state folder, of the layer that the
// page and the command line write.
const SettingsFile = "settings.toml"

// Sources says where the layers of a configuration are.
type Sources struct {
	// Path is the configuration file. "" is DefaultPath, which may be missing;
	// any other must be there.
	Path string
	// Environ is os.Environ().
	Environ []string
	// Flags are the keys set on the command line, by path.
	Flags map[string]string
	// Place is what the defaults depend on.
	Place Place
}

// Origin is where a value came from.
type Origin struct {
	Source string `json:"source"` // "default", a file, a variable, a flag
	Line   int    `json:"line,omitempty"`
}

// String is file:line, or the source.
func (o Origin) String() string {
	if o.Line == 0 {
		return o.Source
	}
	return fmt.Sprintf("%s:%d", o.Source, o.Line)
}

// Loaded is a configuration and its provenance.
type Loaded struct {
	Config
	Place    Place
	Files    []string // that were read, in order
	Warnings []string // what was left out, and why; nothing that stops the start

	origins map[string]origin
}

type origin struct {
	Origin
	doc *document // nil outside files
	at  span      // of the value
}

// Origin says where the value of a key came from.
func (l *Loaded) Origin(path string) Origin {
	if o, ok := l.origins[path]; ok {
		return o.Origin
	}
	return Origin{Source: "default"}
}

// RuntimeDir is where this configuration's daemon has its sockets.
func (l *Loaded) RuntimeDir() string { return l.Place.RuntimeDir(l.State) }

// SettingsPath is the file that settings are written to.
func (l *Loaded) SettingsPath() string { return filepath.Join(l.State, SettingsFile) }

// Load reads every layer and checks the whole. What is wrong is returned
// together, as Errors; a file that cannot be read is one of them. settings.toml
// never stops a start: the program itself wrote it, so what is wrong in it is
// left out and told among the warnings.
func Load(src Sources) (*Loaded, error) {
	// The state folder must be known before the settings in it can be read,
	// and the settings may not move it.
	first, err := load(src, nil)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(first.SettingsPath())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return first, nil
	case err != nil:
		first.Warnings = append(first.Warnings, fmt.Sprintf("settings left out: %v", err))
		return first, nil
	}
	l, err := load(src, &layer{first.SettingsPath(), text})
	if err != nil {
		// Without the settings it was right, so they are what is wrong.
		first.Warnings = append(first.Warnings, fmt.Sprintf("settings left out: %v", err))
		return first, nil
	}
	return l, nil
}

// layer is a file that has been read already.
type layer struct {
	source string
	text   []byte
}

func load(src Sources, settings *layer) (*Loaded, error) {
	l := &Loaded{Config: Defaults(src.Place), Place: src.Place, origins: map[string]origin{}}
	var errs Errors
	collect := func(err error) {
		if more, ok := errors.AsType[Errors](err); ok {
			errs = append(errs, more...)
		}
	}
	files, err := files(src.Path)
	collect(err)
	for _, file := range files {
		collect(l.readFile(file))
	}
	if settings != nil {
		l.Files = append(l.Files, settings.source)
		collect(l.read(settings.source, settings.text))
	}
	collect(l.readEnviron(src.Environ))
	collect(l.readFlags(src.Flags))
	if len(errs) == 0 {
		collect(l.validate())
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return l, nil
}

// files are the configuration file and its drop-ins.
func files(path string) ([]string, error) {
	named := path != ""
	if !named {
		path = DefaultPath
	}
	var list []string
	switch _, err := os.Stat(path); {
	case err == nil:
		list = append(list, path)
	case named || !errors.Is(err, fs.ErrNotExist):
		return nil, Errors{unreadable(path, err)}
	}
	dropins, err := filepath.Glob(filepath.Join(globQuote(filepath.Dir(path)), "appliance.d", "*.toml"))
	if err != nil {
		return nil, Errors{unreadable(path, err)}
	}
	slices.Sort(dropins)
	return append(list, dropins...), nil
}

// globQuote keeps the letters of a folder from being a pattern.
func globQuote(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

func unreadable(path string, err error) *Error {
	e := &Error{Source: path, Message: "cannot be read: " + reason(err)}
	if errors.Is(err, fs.ErrNotExist) {
		e.Message = "no such file"
		e.Hint = "an empty file is a valid configuration; 'appliance config default' prints one with every key"
	}
	return e
}

// reason is an error without the path, which is told already.
func reason(err error) string {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err.Error()
	}
	return err.Error()
}

func (l *Loaded) readFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return Errors{unreadable(path, err)}
	}
	l.Files = append(l.Files, path)
	return l.read(path, text)
}

// read applies one TOML document.
func (l *Loaded) read(source string, text []byte) error {
	doc, err := parse(source, text)
	if err != nil {
		return err
	}
	var errs Errors
	for _, e := range doc.entries {
		if err := l.apply(doc, e); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

func (l *Loaded) apply(doc *document, e entry) *Error {
	if e.table {
		return checkTable(doc, e)
	}
	key, ok := Lookup(e.path)
	if !ok {
		return unknown(doc, e)
	}
	if err := key.check(key.field(&l.Config), func(field reflect.Value) error {
		return assign(field, doc.at(e.path))
	}); err != nil {
		return doc.errorAt(e.value, key.Path, key.hint(), "%s %v", key.Path, err)
	}
	l.origins[key.Path] = origin{Origin{doc.source, e.key.line}, doc, e.value}
	return nil
}

func checkTable(doc *document, e entry) *Error {
	if key, isKey := Lookup(e.path); isKey {
		return doc.errorAt(e.key, e.path, key.hint(), "%s is a value, not a table", e.path)
	}
	for _, k := range Keys() {
		if strings.HasPrefix(k.Path, e.path+".") {
			return nil
		}
	}
	// A key of an unknown table is not told once more.
	return doc.errorAt(e.key, e.path, meant(e.path), "unknown table [%s]", e.path)
}

func unknown(doc *document, e entry) *Error {
	if table := parent(e.path); table != "" {
		if err := checkTable(doc, entry{path: table}); err != nil && doc.has(table) {
			return nil
		}
	}
	for _, k := range Keys() {
		if strings.HasPrefix(k.Path, e.path+".") {
			return doc.errorAt(e.value, e.path, "write it as a table: ["+e.path+"]", "%s is a table, not a value", e.path)
		}
	}
	return doc.errorAt(e.key, e.path, meant(e.path), "unknown key %s", e.path)
}

// has reports whether the table itself stands in the file.
func (d *document) has(table string) bool {
	return slices.ContainsFunc(d.entries, func(e entry) bool { return e.table && e.path == table })
}

func meant(path string) string {
	if near := nearest(path); near != "" {
		return fmt.Sprintf("did you mean %s? 'appliance config default' prints every key", near)
	}
	return "'appliance config default' prints every key"
}

func (l *Loaded) readEnviron(environ []string) error {
	var errs Errors
	for _, kv := range environ {
		name, text, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(otherVariables, name) {
			continue
		}
		key, ok := lookupEnv(name)
		if !ok {
			// Not an error: Kubernetes sets APPLIANCE_PORT and more for a
			// service that is called appliance.
			l.Warnings = append(l.Warnings, "the environment variable "+name+" is not a key of the configuration")
			continue
		}
		if err := l.assignText(key, name, text); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

func lookupEnv(name string) (Key, bool) {
	for _, k := range Keys() {
		if k.Env() == name {
			return k, true
		}
	}
	return Key{}, false
}

func (l *Loaded) readFlags(flags map[string]string) error {
	var errs Errors
	for _, key := range Keys() {
		if text, ok := flags[key.Path]; ok {
			if err := l.assignText(key, "--"+flagName(key), text); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// flagName is how the command line calls a key: --listen sets http.listen.
func flagName(k Key) string {
	if k.Path == "log.level" {
		return "log-level"
	}
	return k.Leaf()
}

func (l *Loaded) assignText(key Key, source, text string) *Error {
	err := key.check(key.field(&l.Config), func(field reflect.Value) error { return assignText(field, text) })
	if err != nil {
		return &Error{Source: source, Key: key.Path, Message: fmt.Sprintf("%s %v", key.Path, err), Hint: key.hint()}
	}
	l.origins[key.Path] = origin{Origin: Origin{Source: source}}
	return nil
}

// check assigns, and leaves the field as it was if the value is not allowed.
func (k Key) check(field reflect.Value, assign func(reflect.Value) error) error {
	fresh := reflect.New(field.Type()).Elem()
	if err := assign(fresh); err != nil {
		return err
	}
	if len(k.OneOf) > 0 && !slices.Contains(k.OneOf, fresh.String()) {
		return fmt.Errorf("must be %s, not %q", alternatives(k.OneOf), fresh.String())
	}
	field.Set(fresh)
	return nil
}

func alternatives(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// hint is what the reference says about the key.
func (k Key) hint() string {
	if k.Doc == "" {
		return "see 'appliance config default'"
	}
	return k.Path + ": " + strings.ReplaceAll(k.Doc, "\n", " ")
}
