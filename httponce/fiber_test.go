package httponce_test

import (
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/idempotency"
	"github.com/valyala/fasthttp"
)

// BenchmarkFiber is what fiber's middleware adds to a request, in its own store in memory
// and on its own server's types: compare with BenchmarkHandler, of the same run. It claims
// nothing before it runs, takes no fingerprint and has no window of its own clock, so it
// is not the same thing that is measured; it is what people use.
func BenchmarkFiber(b *testing.B) {
	for _, row := range []struct {
		name  string
		keyed bool
		key   func() string
	}{
		{"bare", false, freshUUID},
		{"first", true, freshUUID},
		{"replay", true, func() string { return "00000000-0000-0000-0000-000000000000" }},
	} {
		b.Run(row.name, func(b *testing.B) {
			h, c := fiberCharge(row.keyed), &fasthttp.RequestCtx{}
			c.Request.Header.SetMethod("POST")
			c.Request.SetRequestURI("/v1/transfers")
			c.Request.Header.SetContentType("application/json")
			c.Request.SetBodyString(`{"from":"world","to":"alice","amount":1000,"currency":"EUR","reference":"order-42"}`)
			b.ReportAllocs()
			for n := 1; b.Loop(); n++ {
				c.Response.Reset()
				c.Request.Header.Set("X-Idempotency-Key", row.key())
				h(c)
				if n%benchKeys == 0 {
					b.StopTimer()
					h = fiberCharge(row.keyed)
					b.StartTimer()
				}
			}
			if c.Response.StatusCode() != 201 {
				b.Fatalf("got %d", c.Response.StatusCode())
			}
		})
	}
}

// fiberCharge is charge for fiber.
func fiberCharge(keyed bool) fasthttp.RequestHandler {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	if keyed {
		app.Use(idempotency.New())
	}
	app.Post("/v1/transfers", func(c *fiber.Ctx) error {
		c.Set("Content-Type", "application/json")
		return c.Status(201).Send(receipt)
	})
	return app.Handler()
}

// freshUUID is a key in the only form that fiber's middleware takes.
func freshUUID() string {
	orders++
	var text [36]byte
	n := orders
	for i := len(text) - 1; i >= 0; i-- {
		switch i {
		case 8, 13, 18, 23:
			text[i] = '-'
		default:
			text[i] = byte('0' + n%10)
			n /= 10
		}
	}
	return string(text[:])
}
