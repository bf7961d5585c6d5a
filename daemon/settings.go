package daemon

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
)

// setting is one key of the configuration: where it is kept and what it may be. The file and the
// environment both set it from text, so both have the same rules and the same messages.
type setting struct {
	path  string // as in "http.listen"
	value reflect.Value
	tag   reflect.StructTag
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	pitchType    = reflect.TypeFor[wire.PitchShift]()
)

// settings lists the keys of a Config in the order of the file.
func settings(c *Config) []setting {
	var all []setting
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			field, tag := v.Field(i), v.Type().Field(i).Tag
			name, option, _ := strings.Cut(tag.Get("yaml"), ",")
			switch {
			case option == "inline":
				walk(prefix, field)
			case field.Kind() == reflect.Struct && field.Type() != pitchType:
				walk(prefix+name+".", field)
			default:
				all = append(all, setting{prefix + name, field, tag})
			}
		}
	}
	walk("", reflect.ValueOf(c).Elem())
	return all
}

// set parses text into the setting; what it may be is checked later, when all is known.
func (s setting) set(text string) error {
	wrong := func() error { return keyErrorf(s.path, "%q, allowed: %s", text, s.allowed()) }
	switch {
	case s.value.Type() == durationType:
		d, err := time.ParseDuration(text)
		if err != nil {
			return wrong()
		}
		s.value.SetInt(int64(d))
	case s.value.Type() == pitchType:
		shift, err := ParsePitch(text)
		if err != nil {
			return wrong()
		}
		s.value.Set(reflect.ValueOf(shift))
	case s.value.Kind() == reflect.String:
		s.value.SetString(text)
	case s.value.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return wrong()
		}
		s.value.SetBool(text == "true")
	case s.value.Kind() == reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return wrong()
		}
		s.value.SetInt(int64(n))
	case s.value.Kind() == reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return wrong()
		}
		s.value.SetFloat(f)
	default:
		return wrong()
	}
	return nil
}

// setList replaces a list.
func (s setting) setList(items []string) error {
	if !s.isList() {
		return keyErrorf(s.path, "a list, allowed: %s", s.allowed())
	}
	if len(items) == 0 {
		items = nil
	}
	s.value.Set(reflect.ValueOf(items))
	return nil
}

func (s setting) isList() bool { return s.value.Kind() == reflect.Slice }

// check holds the value against its tags.
func (s setting) check() error {
	if oneof := s.tag.Get("oneof"); oneof != "" {
		for _, allowed := range strings.Fields(oneof) {
			if s.text() == allowed {
				return nil
			}
		}
		return keyErrorf(s.path, "%s, allowed: %s", s.quoted(), s.allowed())
	}
	least, most, ok := s.bounds()
	if v := s.number(); ok && !(v >= least && v <= most) { // also refuses NaN
		return keyErrorf(s.path, "%s, allowed: %s", s.quoted(), s.allowed())
	}
	return nil
}

func (s setting) number() float64 {
	switch s.value.Kind() {
	case reflect.Int, reflect.Int64:
		return float64(s.value.Int())
	case reflect.Float64:
		return s.value.Float()
	default:
		return 0
	}
}

func (s setting) bounds() (least, most float64, ok bool) {
	bound := func(key string) float64 {
		text := s.tag.Get(key)
		if s.value.Type() == durationType {
			d, _ := time.ParseDuration(text) // a test parses every tag
			return float64(d)
		}
		f, _ := strconv.ParseFloat(text, 64)
		return f
	}
	_, ok = s.tag.Lookup("min")
	if !ok {
		return 0, 0, false
	}
	return bound("min"), bound("max"), true
}

// text is the value as the file writes it.
func (s setting) text() string {
	switch v := s.value.Interface().(type) {
	case wire.PitchShift:
		if v.Auto {
			return "auto"
		}
		return strconv.FormatFloat(v.Semitones, 'g', -1, 64)
	case []string:
		return "[" + strings.Join(v, ", ") + "]"
	default:
		return fmt.Sprint(v)
	}
}

func (s setting) quoted() string {
	if s.value.Kind() == reflect.String {
		return strconv.Quote(s.text())
	}
	return s.text()
}

// allowed says in words what the setting may be.
func (s setting) allowed() string {
	if oneof := s.tag.Get("oneof"); oneof != "" {
		return strings.Join(strings.Fields(oneof), ", ")
	}
	if least, ok := s.tag.Lookup("min"); ok {
		return least + " to " + s.tag.Get("max")
	}
	switch {
	case s.value.Type() == pitchType:
		return fmt.Sprintf("auto, or %d to %d semitones", -wire.MaxPitchShift, wire.MaxPitchShift)
	case s.value.Kind() == reflect.Bool:
		return "true, false"
	case s.value.Type() == durationType:
		return "a duration, as in 10ms"
	case s.value.Kind() == reflect.Int:
		return "a whole number"
	case s.value.Kind() == reflect.Float64:
		return "a number"
	case s.isList():
		return "a list, as in [a, b]"
	default:
		return "text"
	}
}

// ParsePitch reads a pitch shift as a person writes it: "auto" or a number of semitones.
func ParsePitch(text string) (wire.PitchShift, error) {
	if text == "auto" {
		return wire.PitchShift{Auto: true}, nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= -wire.MaxPitchShift && v <= wire.MaxPitchShift) {
		return wire.PitchShift{}, fmt.Errorf("pitch is %q, allowed: auto, or %d to %d semitones", text, -wire.MaxPitchShift, wire.MaxPitchShift)
	}
	return wire.PitchShift{Semitones: v}, nil
}
