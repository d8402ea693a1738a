package consume

import "context"

// Batched is a Transactional that marks many keys with one statement: pgkeys.Operation.
type Batched[Tx any] interface {
	Transactional[Tx]
	DoAll(ctx context.Context, ids []string, requests []any, fn func(ctx context.Context, tx Tx, fresh []int) error) (fresh []int, err error)
}

// InBatches is an effect like that of [In], of many messages at once: their marks are one
// statement more for all of them together, and one commit with what fn does through tx. If a
// batch fails, each of its messages is handled alone: fn is given one, and poison keeps back
// nothing but itself.
func InBatches[Tx any](op Batched[Tx], fn func(ctx context.Context, tx Tx, ms []Message) error) Effect {
	effect := In(op, func(ctx context.Context, tx Tx, m Message) error { return fn(ctx, tx, []Message{m}) })
	effect.all = func(ctx context.Context, keys []string, same []any, ms []Message) ([]int, error) {
		return op.DoAll(ctx, keys, same, func(ctx context.Context, tx Tx, fresh []int) error {
			chosen := make([]Message, len(fresh))
			for i, of := range fresh {
				chosen[i] = ms[of]
			}
			return fn(ctx, tx, chosen)
		})
	}
	return effect
}

// HandleAll is [Consumer.Handle] for many messages, at most 1,000. What of them is new is one commit, if
// the effect is one of [InBatches]; the rest, and what that commit did not bring about, is
// handled one after another.
func (c *Consumer) HandleAll(ctx context.Context, ms []Message) []Outcome {
	outcomes, done := make([]Outcome, len(ms)), c.together(ctx, ms)
	for i, m := range ms {
		if done[i] {
			outcomes[i] = c.conclude(ctx, m, nil)
		} else {
			outcomes[i] = c.Handle(ctx, m)
		}
	}
	return outcomes
}

// together has what is new of a batch happen, and says what has. A message that has failed
// before, or cannot be told, is left to be handled alone.
func (c *Consumer) together(ctx context.Context, ms []Message) (done []bool) {
	done = make([]bool, len(ms))
	if c.effect.all == nil {
		return done
	}
	var of []int
	var keys []string
	var same []any
	var chosen []Message
	for i := range ms {
		if ms[i].identify() != nil || ms[i].Deliveries > c.cfg.Tries.Deliveries || c.failures.of(ms[i].ID) > 0 {
			continue
		}
		of, keys = append(of, i), append(keys, c.key(ms[i]))
		same, chosen = append(same, c.cfg.Same(ms[i])), append(chosen, ms[i])
	}
	fresh, err := c.runAll(ctx, keys, same, chosen)
	if err != nil || len(fresh) == 0 {
		return done // each alone says why
	}
	for _, i := range fresh {
		done[of[i]] = true
	}
	return done
}

func (c *Consumer) runAll(ctx context.Context, keys []string, same []any, ms []Message) (fresh []int, err error) {
	defer recovered(&err)
	return c.effect.all(ctx, keys, same, ms)
}
