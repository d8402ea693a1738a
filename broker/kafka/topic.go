package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// makeTopic makes the topic, unless it is there.
func (s *Sink) makeTopic(ctx context.Context) error {
	found, err := s.findTopic(ctx)
	if err != nil {
		return err
	}
	if found {
		return s.judge(ctx)
	}
	err = s.createTopic(ctx)
	if errors.Is(err, kerr.TopicAlreadyExists) { // another process was quicker
		return nil
	}
	if err == nil {
		s.cfg.Log.Info("kafka: the topic was made", "topic", s.cfg.Topic, "partitions", s.cfg.Partitions, "max_age", s.cfg.MaxAge.String())
	}
	return err
}

func (s *Sink) findTopic(ctx context.Context) (bool, error) {
	ask, of := kmsg.NewPtrMetadataRequest(), kmsg.NewMetadataRequestTopic()
	of.Topic = kmsg.StringPtr(s.cfg.Topic)
	ask.Topics = append(ask.Topics, of) // AllowAutoTopicCreation is false: the cluster's defaults are not what is configured
	answer, err := ask.RequestWith(ctx, s.client)
	if err != nil {
		return false, err
	}
	if len(answer.Topics) != 1 {
		return false, fmt.Errorf("the cluster answers for %d topics", len(answer.Topics))
	}
	err = kerr.ErrorForCode(answer.Topics[0].ErrorCode)
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return false, nil
	}
	return err == nil, err
}

// safeReplicas is from how many on an event is on two servers before it counts as taken. With
// two, one that is away would stop everything.
const safeReplicas = 3

func (s *Sink) createTopic(ctx context.Context) error {
	ask, of := kmsg.NewPtrCreateTopicsRequest(), kmsg.NewCreateTopicsRequestTopic()
	of.Topic, of.NumPartitions, of.ReplicationFactor = s.cfg.Topic, int32(s.cfg.Partitions), -1
	set := map[string]string{"cleanup.policy": "delete", "retention.ms": strconv.FormatInt(s.cfg.MaxAge.Milliseconds(), 10)}
	if s.cfg.Replicas > 0 {
		of.ReplicationFactor = int16(s.cfg.Replicas)
	}
	if s.cfg.Replicas >= safeReplicas {
		set["min.insync.replicas"] = "2"
	}
	for name, value := range set {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = name, &value
		of.Configs = append(of.Configs, c)
	}
	ask.Topics, ask.TimeoutMillis = append(ask.Topics, of), int32(askTimeout.Milliseconds())
	answer, err := ask.RequestWith(ctx, s.client)
	if err != nil {
		return err
	}
	if len(answer.Topics) != 1 {
		return fmt.Errorf("the cluster answers for %d topics", len(answer.Topics))
	}
	if err := kerr.ErrorForCode(answer.Topics[0].ErrorCode); err != nil {
		return fmt.Errorf("it is not there, and cannot be made: %w", err)
	}
	return nil
}

// judge refuses a topic that loses events, and warns of one that keeps them for less long than
// what is configured. Where nobody may ask how it is set up, it is used as it is.
func (s *Sink) judge(ctx context.Context) error {
	ask, of := kmsg.NewPtrDescribeConfigsRequest(), kmsg.NewDescribeConfigsRequestResource()
	of.ResourceType, of.ResourceName, of.ConfigNames = kmsg.ConfigResourceTypeTopic, s.cfg.Topic, []string{"cleanup.policy", "retention.ms"}
	ask.Resources = append(ask.Resources, of)
	answer, err := ask.RequestWith(ctx, s.client)
	if err != nil {
		return err
	}
	for _, r := range answer.Resources {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			s.cfg.Log.Warn("kafka: the cluster does not say how the topic is set up", "topic", s.cfg.Topic, "err", err)
			continue
		}
		for _, c := range r.Configs {
			if c.Value == nil {
				continue
			}
			if c.Name == "cleanup.policy" && strings.Contains(*c.Value, "compact") {
				return ErrCompacted
			}
			if ms, err := strconv.ParseInt(*c.Value, 10, 64); c.Name == "retention.ms" && err == nil && ms >= 0 && ms < s.cfg.MaxAge.Milliseconds() {
				s.cfg.Log.Warn("kafka: the topic keeps events for less long than what is configured", "topic", s.cfg.Topic,
					"its", (time.Duration(ms) * time.Millisecond).String(), "configured", s.cfg.MaxAge.String())
			}
		}
	}
	return nil
}
