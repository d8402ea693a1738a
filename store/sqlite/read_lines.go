package sqlite

import (
	"context"
	"slices"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
)

const (
	firstLines = "SELECT " + lineColumns + ` FROM payment_lines WHERE tenant = ?1 AND payment = ?2
		ORDER BY batch, line LIMIT ?3`
	lastLines = "SELECT " + lineColumns + ` FROM payment_lines WHERE tenant = ?1 AND payment = ?2
		ORDER BY batch DESC, line DESC LIMIT ?3`
)

// Lines returns a payment's timeline, oldest first: of more than engine.MaxLines
// the first and the last half of so many.
func (p *pool) Lines(ctx context.Context, ref pay.Ref) (lines []pay.Line, err error) {
	err = p.read(ctx, func(c *conn) error {
		if lines, err = c.lines(firstLines, ref, engine.MaxLines+1); err != nil || len(lines) <= engine.MaxLines {
			return err
		}
		last, err := c.lines(lastLines, ref, engine.MaxLines/2)
		slices.Reverse(last)
		lines = append(lines[:engine.MaxLines/2], last...)
		return err
	})
	return lines, wrap("timeline", err)
}

func (c *conn) lines(sql string, ref pay.Ref, limit int64) (lines []pay.Line, err error) {
	q, err := c.stmt(sql)
	if err != nil {
		return nil, err
	}
	q.text(ref.Tenant).text(ref.ID).int(limit)
	for q.next(&err) {
		lines = append(lines, q.columnLine())
	}
	return lines, err
}
