// The contender in Go: gin and redigo, one script call a claim.
//
//	REDIS_URL=… JWT_SECRET=… JWT_AUDIENCE=… JWT_ISSUER=… PORT=… SCRIPT=claim.lua ./gin
//
// It does what plain.py does, with the same script and the same answers.
package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gomodule/redigo/redis"
)

const timestamp = "2006-01-02T15:04:05.000Z07:00"

var statuses = map[string]int{
	"limit_reached":      http.StatusConflict,
	"sold_out":           http.StatusConflict,
	"campaign_paused":    http.StatusConflict,
	"campaign_not_found": http.StatusNotFound,
	"campaign_ended":     http.StatusGone,
	"not_started":        http.StatusTooEarly,
	"bad_request":        http.StatusBadRequest,
	"unauthenticated":    http.StatusUnauthorized,
	"not_ready":          http.StatusServiceUnavailable,
}

var errToken = errors.New("not a token of ours")

type ask struct {
	Channel string `json:"channel"`
}

type coupon struct {
	Code       string `json:"code"`
	Campaign   string `json:"campaign"`
	Seq        int64  `json:"seq"`
	State      string `json:"state"`
	ExpiresAt  string `json:"expires_at"`
	ServerTime string `json:"server_time"`
}

type problem struct {
	Type   string   `json:"type"`
	Title  string   `json:"title"`
	Status int      `json:"status"`
	Code   string   `json:"code"`
	Codes  []string `json:"codes,omitempty"`
}

type tokenHead struct {
	Alg string `json:"alg"`
}

type tokenClaims struct {
	Sub string  `json:"sub"`
	Exp float64 `json:"exp"`
	Aud string  `json:"aud"`
	Iss string  `json:"iss"`
}

type gateway struct {
	pool             *redis.Pool
	script           *redis.Script
	secret           []byte
	audience, issuer string
}

// holder checks an HS256 token and returns whom it names.
func (g *gateway) holder(authorization string) (string, error) {
	const scheme = "Bearer "
	if !strings.HasPrefix(authorization, scheme) {
		return "", errToken
	}
	token := authorization[len(scheme):]
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", errToken
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return "", errToken
	}
	mac := hmac.New(sha256.New, g.secret)
	mac.Write([]byte(token[:len(parts[0])+1+len(parts[1])]))
	if !hmac.Equal(signature, mac.Sum(nil)) {
		return "", errToken
	}
	var head tokenHead
	var claims tokenClaims
	if decode(parts[0], &head) != nil || decode(parts[1], &claims) != nil {
		return "", errToken
	}
	if head.Alg != "HS256" || claims.Sub == "" || claims.Exp <= float64(time.Now().Unix()) ||
		claims.Aud != g.audience || claims.Iss != g.issuer {
		return "", errToken
	}
	return claims.Sub, nil
}

func decode(segment string, into any) error {
	data, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

func refuse(c *gin.Context, code string, codes ...string) {
	status := statuses[code]
	c.Header("Content-Type", "application/problem+json")
	c.JSON(status, problem{"about:blank", strings.ReplaceAll(code, "_", " "), status, code, codes})
}

func newCode() (string, error) {
	var random [10]byte
	_, err := rand.Read(random[:])
	return base32.StdEncoding.EncodeToString(random[:]), err
}

// claim is POST /v1/campaigns/:campaign/claims.
func (g *gateway) claim(c *gin.Context) {
	holder, err := g.holder(c.GetHeader("Authorization"))
	if err != nil {
		refuse(c, "unauthenticated")
		return
	}
	key := c.GetHeader("Idempotency-Key")
	var asked ask
	if c.ShouldBindJSON(&asked) != nil || len(key) < 1 || len(key) > 255 {
		refuse(c, "bad_request")
		return
	}
	code, err := newCode()
	if err != nil {
		refuse(c, "not_ready")
		return
	}
	campaign := c.Param("campaign")
	prefix := "bench:{" + campaign + "}:"
	connection := g.pool.Get()
	defer connection.Close()
	reply, err := redis.Values(g.script.Do(connection, prefix+"rules", prefix+"stock", prefix+"holders",
		prefix+"coupons", prefix+"entries", holder, key, code))
	if err != nil || len(reply) == 0 {
		refuse(c, "not_ready")
		return
	}
	outcome, _ := redis.String(reply[0], nil)
	switch outcome {
	case "claimed", "replayed":
		g.grant(c, campaign, outcome, reply[1:])
	case "limit_reached":
		codes, _ := redis.Strings(reply[1:], nil)
		refuse(c, outcome, codes...)
	default:
		refuse(c, outcome)
	}
}

func (g *gateway) grant(c *gin.Context, campaign, outcome string, reply []any) {
	granted := coupon{Campaign: campaign, State: "claimed"}
	var claimedMs, expiresMs int64
	if _, err := redis.Scan(reply, &granted.Code, &granted.Seq, &claimedMs, &expiresMs); err != nil {
		refuse(c, "not_ready")
		return
	}
	granted.ExpiresAt = time.UnixMilli(expiresMs).UTC().Format(timestamp)
	granted.ServerTime = time.UnixMilli(claimedMs).UTC().Format(timestamp)
	if outcome == "replayed" {
		c.Header("Idempotency-Replayed", "true")
		c.JSON(http.StatusOK, granted)
		return
	}
	c.JSON(http.StatusCreated, granted)
}

func main() {
	source, err := os.ReadFile(os.Getenv("SCRIPT"))
	if err != nil {
		log.Fatal(err)
	}
	connections, err := strconv.Atoi(os.Getenv("REDIS_CONNECTIONS"))
	if err != nil {
		log.Fatal("REDIS_CONNECTIONS: ", err)
	}
	g := &gateway{
		pool: &redis.Pool{
			MaxIdle:   connections,
			MaxActive: connections,
			Wait:      true,
			Dial:      func() (redis.Conn, error) { return redis.DialURL(os.Getenv("REDIS_URL")) },
		},
		script:   redis.NewScript(5, string(source)),
		secret:   []byte(os.Getenv("JWT_SECRET")),
		audience: os.Getenv("JWT_AUDIENCE"),
		issuer:   os.Getenv("JWT_ISSUER"),
	}
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.POST("/v1/campaigns/:campaign/claims", g.claim)
	router.GET("/healthz", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"status": "ok"}) })
	log.Fatal(router.Run("127.0.0.1:" + os.Getenv("PORT")))
}
