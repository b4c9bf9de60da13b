package config

import (
	"encoding"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
)

// assign puts a value as TOML gives it (string, int64, bool, []any) into a
// field.
func assign(field reflect.Value, value any) error {
	if into, ok := field.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return assignScalar(into, value)
	}
	switch field.Kind() {
	case reflect.String:
		s, ok := value.(string)
		if !ok {
			return fmt.Errorf("must be a string in quotes, not %s", describe(value))
		}
		field.SetString(s)
	case reflect.Bool:
		b, ok := value.(bool)
		if !ok {
			return fmt.Errorf("must be true or false, not %s", describe(value))
		}
		field.SetBool(b)
	case reflect.Int:
		n, ok := value.(int64)
		if !ok {
			return fmt.Errorf("must be a whole number, not %s", describe(value))
		}
		field.SetInt(n)
	case reflect.Slice:
		return assignList(field, value)
	default:
		return fmt.Errorf("a %s cannot be configured", field.Type())
	}
	return nil
}

// assignScalar lets numbers stand without quotes where their text is the
// value (max_payload = 1000000).
func assignScalar(into encoding.TextUnmarshaler, value any) error {
	switch v := value.(type) {
	case string:
		err := into.UnmarshalText([]byte(v))
		if _, ok := into.(*slog.Level); ok && err != nil {
			return fmt.Errorf("must be debug, info, warn or error, not %q", v)
		}
		return err
	case int64:
		return into.UnmarshalText(strconv.AppendInt(nil, v, 10))
	default:
		return fmt.Errorf("must be a string in quotes, not %s", describe(value))
	}
}

func assignList(field reflect.Value, value any) error {
	items, ok := value.([]any)
	if !ok {
		return fmt.Errorf("must be a list, like [\"a\", \"b\"], not %s", describe(value))
	}
	list := reflect.MakeSlice(field.Type(), len(items), len(items))
	for i, item := range items {
		if err := assign(list.Index(i), item); err != nil {
			return fmt.Errorf("item %d: %w", i+1, err)
		}
	}
	field.Set(list)
	return nil
}

// assignText puts a value as the environment and flags give it: text, with
// commas between the items of a list.
func assignText(field reflect.Value, text string) error {
	if field.Kind() == reflect.Slice && field.Type().Elem().Kind() != reflect.Uint8 {
		return assignList(field, splitList(text))
	}
	switch field.Kind() {
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("must be true or false, not %q", text)
		}
		return assign(field, b)
	case reflect.Int:
		if _, isText := field.Addr().Interface().(encoding.TextUnmarshaler); isText {
			break
		}
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return fmt.Errorf("must be a whole number, not %q", text)
		}
		return assign(field, n)
	}
	return assign(field, text)
}

func splitList(text string) []any {
	items := []any{}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func describe(value any) string {
	switch v := value.(type) {
	case string:
		return fmt.Sprintf("the string %q", v)
	case bool:
		return fmt.Sprintf("%t", v)
	case int64, float64:
		return fmt.Sprintf("the number %v", v)
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	default:
		return fmt.Sprintf("a %T", value)
	}
}
