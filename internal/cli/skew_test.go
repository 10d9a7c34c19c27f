package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"justright/money"
)

// A laptop whose clock is hours off is told the same amounts and ends as any other: times of a launch are its provider's.
func TestAmountsOfAClockThatIsWrong(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{-5 * time.Hour, 5 * time.Hour} {
		p := newPlace(t)
		run := func(args ...string) []byte {
			var out, errs bytes.Buffer
			w := realWorld(args, &out, &errs, p.env)
			w.Now = func() time.Time { return time.Now().Add(off) }
			if code := Main(t.Context(), w); code != 0 {
				t.Fatalf("%v exits %d\n%s%s", args, code, out.String(), errs.String())
			}
			return out.Bytes()
		}
		few := func(what string, spent money.USD) {
			if spent <= 0 || spent > money.Dollar/100 {
				t.Errorf("clock off by %s: %s of $%s within seconds", off, what, spent)
			}
		}
		run("up", tryModel, "--yes", "--ttl", "2h")
		time.Sleep(50 * time.Millisecond)
		var ps psDocument
		if err := json.Unmarshal(run("ps", "--json"), &ps); err != nil || len(ps.Launches) != 1 {
			t.Fatal(ps, err)
		}
		few("ps", ps.Launches[0].Spent)
		if table := string(run("ps")); !strings.Contains(table, "1h59m") && !strings.Contains(table, "2h00m") {
			t.Errorf("clock off by %s: not about two hours left:\n%s", off, table)
		}
		var show showDocument
		if err := json.Unmarshal(run("show", "gpt-oss-20b", "--json"), &show); err != nil {
			t.Fatal(err)
		}
		few("show", show.Spent)
		var receipt receiptDocument
		if err := json.Unmarshal(run("down", "--all", "--json"), &receipt); err != nil {
			t.Fatal(err)
		}
		few("down", receipt.Total)
	}
}
