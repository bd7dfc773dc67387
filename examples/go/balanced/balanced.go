// Package balanced connects to all replicas of byokd behind one name and spreads calls over them.
//
// The connection is in clear text, as inside a mesh; for TLS pass credentials.NewTLS.
package balanced

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	// Enables healthCheckConfig of the service config: a replica that is stopping gets no new calls.
	_ "google.golang.org/grpc/health"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver/dns"
)

// Dial takes a target like dns:///byokd-headless.byokd:50051, and the text of service_config.json.
func Dial(target, serviceConfig string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	// The default is 30 s; a rollout may replace every known pod in that time.
	dns.SetMinResolutionInterval(time.Second)
	return grpc.NewClient(target, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig),
		// Use the file alone; do not query TXT records.
		grpc.WithDisableServiceConfig(),
		// A node that vanishes closes no connection: ping every 30 s and wait 5 s for the answer.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 5 * time.Second}),
	}, options...)...)
}
