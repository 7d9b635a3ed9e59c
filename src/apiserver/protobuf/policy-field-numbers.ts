/* As `field-numbers.ts`, for quotas, limits and scaling, certificates, services, classes and admission. */
export const POLICY_FIELD_NUMBERS = `
admissionregistration.v1.ApplyConfiguration expression:1
admissionregistration.v1.AuditAnnotation key:1 valueExpression:2
admissionregistration.v1.ExpressionWarning fieldRef:2 warning:3
admissionregistration.v1.JSONPatch expression:1
admissionregistration.v1.MatchCondition name:1 expression:2
admissionregistration.v1.MatchResources namespaceSelector:1 objectSelector:2 resourceRules:3 excludeResourceRules:4 matchPolicy:7
admissionregistration.v1.MutatingAdmissionPolicy metadata:1 spec:2
admissionregistration.v1.MutatingAdmissionPolicyBinding metadata:1 spec:2
admissionregistration.v1.MutatingAdmissionPolicyBindingSpec policyName:1 paramRef:2 matchResources:3
admissionregistration.v1.MutatingAdmissionPolicySpec paramKind:1 matchConstraints:2 variables:3 mutations:4 failurePolicy:5 matchConditions:6 reinvocationPolicy:7
admissionregistration.v1.MutatingWebhook name:1 clientConfig:2 rules:3 failurePolicy:4 namespaceSelector:5 sideEffects:6 timeoutSeconds:7 admissionReviewVersions:8 matchPolicy:9 reinvocationPolicy:10 objectSelector:11 matchConditions:12
admissionregistration.v1.MutatingWebhookConfiguration metadata:1 webhooks:2
admissionregistration.v1.Mutation patchType:2 applyConfiguration:3 jsonPatch:4
admissionregistration.v1.NamedRuleWithOperations resourceNames:1 operations:2.1 apiGroups:2.2.1 apiVersions:2.2.2 resources:2.2.3 scope:2.2.4
admissionregistration.v1.ParamKind apiVersion:1 kind:2
admissionregistration.v1.ParamRef name:1 namespace:2 selector:3 parameterNotFoundAction:4
admissionregistration.v1.RuleWithOperations operations:1 apiGroups:2.1 apiVersions:2.2 resources:2.3 scope:2.4
admissionregistration.v1.ServiceReference namespace:1 name:2 path:3 port:4
admissionregistration.v1.TypeChecking expressionWarnings:1
admissionregistration.v1.ValidatingAdmissionPolicy metadata:1 spec:2 status:3
admissionregistration.v1.ValidatingAdmissionPolicyBinding metadata:1 spec:2
admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec policyName:1 paramRef:2 matchResources:3 validationActions:4
admissionregistration.v1.ValidatingAdmissionPolicySpec paramKind:1 matchConstraints:2 validations:3 failurePolicy:4 auditAnnotations:5 matchConditions:6 variables:7
admissionregistration.v1.ValidatingAdmissionPolicyStatus observedGeneration:1 typeChecking:2 conditions:3
admissionregistration.v1.ValidatingWebhook name:1 clientConfig:2 rules:3 failurePolicy:4 namespaceSelector:5 sideEffects:6 timeoutSeconds:7 admissionReviewVersions:8 matchPolicy:9 objectSelector:10 matchConditions:11
admissionregistration.v1.ValidatingWebhookConfiguration metadata:1 webhooks:2
admissionregistration.v1.Validation expression:1 message:2 reason:3 messageExpression:4
admissionregistration.v1.Variable name:1 expression:2
admissionregistration.v1.WebhookClientConfig service:1 caBundle:2 url:3
apiregistration.v1.APIService metadata:1 spec:2 status:3
apiregistration.v1.APIServiceCondition type:1 status:2 lastTransitionTime:3 reason:4 message:5
apiregistration.v1.APIServiceSpec service:1 group:2 version:3 insecureSkipTLSVerify:4 caBundle:5 groupPriorityMinimum:7 versionPriority:8
apiregistration.v1.APIServiceStatus conditions:1
apiregistration.v1.ServiceReference namespace:1 name:2 port:3
autoscaling.v1.CrossVersionObjectReference kind:1 name:2 apiVersion:3
autoscaling.v1.HorizontalPodAutoscaler metadata:1 spec:2 status:3
autoscaling.v1.HorizontalPodAutoscalerSpec scaleTargetRef:1 minReplicas:2 maxReplicas:3 targetCPUUtilizationPercentage:4
autoscaling.v1.HorizontalPodAutoscalerStatus observedGeneration:1 lastScaleTime:2 currentReplicas:3 desiredReplicas:4 currentCPUUtilizationPercentage:5
autoscaling.v2.ContainerResourceMetricSource name:1 target:2 container:3
autoscaling.v2.ContainerResourceMetricStatus name:1 current:2 container:3
autoscaling.v2.CrossVersionObjectReference kind:1 name:2 apiVersion:3
autoscaling.v2.ExternalMetricSource metric:1 target:2
autoscaling.v2.ExternalMetricStatus metric:1 current:2
autoscaling.v2.HPAScalingPolicy type:1 value:2 periodSeconds:3
autoscaling.v2.HPAScalingRules selectPolicy:1 policies:2 stabilizationWindowSeconds:3 tolerance:4
autoscaling.v2.HorizontalPodAutoscaler metadata:1 spec:2 status:3
autoscaling.v2.HorizontalPodAutoscalerBehavior scaleUp:1 scaleDown:2
autoscaling.v2.HorizontalPodAutoscalerCondition type:1 status:2 lastTransitionTime:3 reason:4 message:5
autoscaling.v2.HorizontalPodAutoscalerSpec scaleTargetRef:1 minReplicas:2 maxReplicas:3 metrics:4 behavior:5
autoscaling.v2.HorizontalPodAutoscalerStatus observedGeneration:1 lastScaleTime:2 currentReplicas:3 desiredReplicas:4 currentMetrics:5 conditions:6
autoscaling.v2.MetricIdentifier name:1 selector:2
autoscaling.v2.MetricSpec type:1 object:2 pods:3 resource:4 external:5 containerResource:7
autoscaling.v2.MetricStatus type:1 object:2 pods:3 resource:4 external:5 containerResource:7
autoscaling.v2.MetricTarget type:1 value:2 averageValue:3 averageUtilization:4
autoscaling.v2.MetricValueStatus value:1 averageValue:2 averageUtilization:3
autoscaling.v2.ObjectMetricSource describedObject:1 target:2 metric:3
autoscaling.v2.ObjectMetricStatus metric:1 current:2 describedObject:3
autoscaling.v2.PodsMetricSource metric:1 target:2
autoscaling.v2.PodsMetricStatus metric:1 current:2
autoscaling.v2.ResourceMetricSource name:1 target:2
autoscaling.v2.ResourceMetricStatus name:1 current:2
certificates.v1.CertificateSigningRequest metadata:1 spec:2 status:3
certificates.v1.CertificateSigningRequestCondition type:1 reason:2 message:3 lastUpdateTime:4 lastTransitionTime:5 status:6
certificates.v1.CertificateSigningRequestSpec request:1 username:2 uid:3 groups:4 usages:5 extra:6 signerName:7 expirationSeconds:8
certificates.v1.CertificateSigningRequestStatus conditions:1 certificate:2
core.v1.ClientIPConfig timeoutSeconds:1
core.v1.ComponentCondition type:1 status:2 message:3 error:4
core.v1.ComponentStatus metadata:1 conditions:2
core.v1.EndpointAddress ip:1
 targetRef:2 hostname:3 nodeName:4
core.v1.EndpointPort name:1 port:2 protocol:3 appProtocol:4
core.v1.EndpointSubset addresses:1 notReadyAddresses:2 ports:3
core.v1.Endpoints metadata:1 subsets:2
core.v1.LimitRange metadata:1 spec:2
core.v1.LimitRangeItem type:1 max:2 min:3 default:4 defaultRequest:5 maxLimitRequestRatio:6
core.v1.LimitRangeSpec limits:1
core.v1.LoadBalancerIngress ip:1 hostname:2 ipMode:3 ports:4
core.v1.LoadBalancerStatus ingress:1
core.v1.PodTemplate metadata:1 template:2
core.v1.PortStatus port:1 protocol:2 error:3
core.v1.ResourceQuota metadata:1 spec:2 status:3
core.v1.ResourceQuotaSpec hard:1 scopes:2 scopeSelector:3
core.v1.ResourceQuotaStatus hard:1 used:2
core.v1.ScopeSelector matchExpressions:1
core.v1.ScopedResourceSelectorRequirement scopeName:1 operator:2 values:3
core.v1.Service metadata:1 spec:2 status:3
core.v1.ServicePort name:1 protocol:2 port:3 targetPort:4 nodePort:5 appProtocol:6
core.v1.ServiceSpec ports:1 selector:2 clusterIP:3 type:4 externalIPs:5 sessionAffinity:7 loadBalancerIP:8 loadBalancerSourceRanges:9 externalName:10 externalTrafficPolicy:11 healthCheckNodePort:12 publishNotReadyAddresses:13 sessionAffinityConfig:14 ipFamilyPolicy:17 clusterIPs:18 ipFamilies:19 allocateLoadBalancerNodePorts:20 loadBalancerClass:21 internalTrafficPolicy:22 trafficDistribution:23
core.v1.ServiceStatus loadBalancer:1 conditions:2
core.v1.SessionAffinityConfig clientIP:1
core.v1.TopologySelectorLabelRequirement key:1 values:2
core.v1.TopologySelectorTerm matchLabelExpressions:1
discovery.v1.Endpoint addresses:1 conditions:2 hostname:3 targetRef:4 deprecatedTopology:5 nodeName:6 zone:7 hints:8
discovery.v1.EndpointConditions ready:1 serving:2 terminating:3
discovery.v1.EndpointHints forZones:1 forNodes:2
discovery.v1.EndpointPort name:1 protocol:2 port:3 appProtocol:4
discovery.v1.EndpointSlice metadata:1 endpoints:2 ports:3 addressType:4
discovery.v1.ForNode name:1
discovery.v1.ForZone name:1
meta.v1.Condition type:1 status:2 observedGeneration:3 lastTransitionTime:4 reason:5 message:6
networking.v1.HTTPIngressPath path:1 backend:2 pathType:3
networking.v1.HTTPIngressRuleValue paths:1
networking.v1.IPBlock cidr:1 except:2
networking.v1.Ingress metadata:1 spec:2 status:3
networking.v1.IngressBackend resource:3 service:4
networking.v1.IngressClass metadata:1 spec:2
networking.v1.IngressClassParametersReference apiGroup:1 kind:2 name:3 scope:4 namespace:5
networking.v1.IngressClassSpec controller:1 parameters:2
networking.v1.IngressLoadBalancerIngress ip:1 hostname:2 ports:4
networking.v1.IngressLoadBalancerStatus ingress:1
networking.v1.IngressPortStatus port:1 protocol:2 error:3
networking.v1.IngressRule host:1 http:2.1
networking.v1.IngressServiceBackend name:1 port:2
networking.v1.IngressSpec defaultBackend:1 tls:2 rules:3 ingressClassName:4
networking.v1.IngressStatus loadBalancer:1
networking.v1.IngressTLS hosts:1 secretName:2
networking.v1.NetworkPolicy metadata:1 spec:2
networking.v1.NetworkPolicyEgressRule ports:1 to:2
networking.v1.NetworkPolicyIngressRule ports:1 from:2
networking.v1.NetworkPolicyPeer podSelector:1 namespaceSelector:2 ipBlock:3
networking.v1.NetworkPolicyPort protocol:1 port:2 endPort:3
networking.v1.NetworkPolicySpec podSelector:1 ingress:2 egress:3 policyTypes:4
networking.v1.ServiceBackendPort name:1 number:2
node.v1.Overhead podFixed:1
node.v1.RuntimeClass metadata:1 handler:2 overhead:3 scheduling:4
node.v1.Scheduling nodeSelector:1 tolerations:2
policy.v1.PodDisruptionBudget metadata:1 spec:2 status:3
policy.v1.PodDisruptionBudgetSpec minAvailable:1 selector:2 maxUnavailable:3 unhealthyPodEvictionPolicy:4
policy.v1.PodDisruptionBudgetStatus observedGeneration:1 disruptedPods:2 disruptionsAllowed:3 currentHealthy:4 desiredHealthy:5 expectedPods:6 conditions:7
policy.v1beta1.Eviction metadata:1 deleteOptions:2
scheduling.v1.PriorityClass metadata:1 value:2 globalDefault:3 description:4 preemptionPolicy:5
storage.v1.StorageClass metadata:1 provisioner:2 parameters:3 reclaimPolicy:4 mountOptions:5 allowVolumeExpansion:6 volumeBindingMode:7 allowedTopologies:8
`;
