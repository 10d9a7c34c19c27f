package solve

import "encoding/json"

// MarshalJSON writes null for a start command that was not written, since an empty one would be a command.
func (s Start) MarshalJSON() ([]byte, error) {
	if len(s.Entrypoint) == 0 && len(s.Cmd) == 0 && s.Args == "" {
		return []byte("null"), nil
	}
	type plain Start
	if s.Entrypoint == nil {
		s.Entrypoint = []string{} // the image's own
	}
	if s.Cmd == nil {
		s.Cmd = []string{}
	}
	return json.Marshal(plain(s))
}
