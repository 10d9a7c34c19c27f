package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// cookieName and cookieFor are a session's: it lasts a week and holds no key, only until when it lasts and a signature of that.
const (
	cookieName = "justright"
	cookieFor  = 7 * 24 * time.Hour
)

// sign is the signature of a session that ends at a second.
func (d *Dashboard) sign(end int64) string {
	m := hmac.New(sha256.New, d.o.Secret)
	_, _ = fmt.Fprintf(m, "justright dashboard until %d", end)
	return hex.EncodeToString(m.Sum(nil))
}

// session reports whether a request comes from somebody who has logged in.
func (d *Dashboard) session(r *http.Request) bool {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return false
	}
	until, sig, ok := strings.Cut(c.Value, ".")
	end, err := strconv.ParseInt(until, 10, 64)
	if !ok || err != nil || !d.o.Now().Before(time.Unix(end, 0)) {
		return false
	}
	return hmac.Equal([]byte(sig), []byte(d.sign(end)))
}

// login takes the gateway's key and gives a session.
func (d *Dashboard) login(w http.ResponseWriter, r *http.Request) {
	key, ok := d.form(w, r, "key")
	if !ok {
		return
	}
	if !d.o.Opens(key) {
		http.Redirect(w, r, "/?wrong=1", http.StatusSeeOther)
		return
	}
	end := d.o.Now().Add(cookieFor)
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: fmt.Sprintf("%d.%s", end.Unix(), d.sign(end.Unix())), Path: "/", MaxAge: int(cookieFor / time.Second),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: d.o.Secure || r.TLS != nil})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (d *Dashboard) logout(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: d.o.Secure || r.TLS != nil})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
