"""The times of V2G communication: DIN SPEC 70121 and ISO 15118-2, beside their requirement numbers.

`[V2G2-...]` are requirements of ISO 15118-2 (Tables 108 to 111), `[V2G-DC-...]` of DIN SPEC 70121.
DIN keeps the times of ISO 15118-2 with fewer exceptions, which are given apart. A figure that no
standard gives says what it rests on.
"""

# --- SDP ---------------------------------------------------------------------------------------

SDP_REQUEST_INTERVAL_S = 0.25  # [V2G2-159] wait this long for an answer, then ask again
SDP_MAX_REQUESTS = 50  # [V2G2-161]

# --- connection --------------------------------------------------------------------------------

TCP_CONNECT_TIMEOUT_S = 6.0  # a widespread charger accepts only 2.9 s after the SYN: at least 5 s
V2G_SECC_COMMUNICATION_SETUP_S = 18.0  # [V2G2-446] [V2G2-714] until SessionSetupRes
V2G_EVCC_COMMUNICATION_SETUP_S = 20.0  # [V2G2-448] [V2G2-716]
V2G_SECC_SEQUENCE_TIMEOUT_S = 60.0  # [V2G2-443] [V2G2-485] response sent until next request
V2G_EVCC_SEQUENCE_PERFORMANCE_S = 40.0  # [V2G2-443] response received until next request

# --- messages: how long the vehicle waits, how quickly the charger answers ----------------------

V2G_EVCC_MSG_TIMEOUT_S = 2.0  # Table 109; DIN: every message but CurrentDemand
V2G_EVCC_MSG_TIMEOUT_LONG_S = 5.0  # ISO only: ServiceDetail, PaymentDetails, PowerDelivery, ...
V2G_EVCC_MSG_TIMEOUT_CURRENT_DEMAND_S = 0.25  # Table 109
V2G_SECC_MSG_PERFORMANCE_S = 1.5  # Table 109; DIN: every message but CurrentDemand
V2G_SECC_MSG_PERFORMANCE_LONG_S = 4.5  # ISO only, see above
V2G_SECC_MSG_PERFORMANCE_CURRENT_DEMAND_S = 0.025  # Table 109

# --- phases of several messages -----------------------------------------------------------------

V2G_EVCC_ONGOING_TIMEOUT_S = 60.0  # [V2G2-710] [V2G2-712] authorisation, parameters
V2G_SECC_ONGOING_PERFORMANCE_S = 55.0  # [V2G2-711] [V2G2-713] then FAILED
V2G_EVCC_CABLE_CHECK_TIMEOUT_S = 40.0  # [V2G2-700] [V2G2-702], DIN Table 77
V2G_SECC_CABLE_CHECK_PERFORMANCE_S = 38.0  # [V2G2-701] [V2G2-703]
V2G_EVCC_PRE_CHARGE_TIMEOUT_S = 7.0  # [V2G2-704] [V2G2-706]
V2G_SECC_PRE_CHARGE_PERFORMANCE_S = 5.0  # [V2G2-705] [V2G2-707]
V2G_EVCC_READY_TO_CHARGE_TIMEOUT_S = 150.0  # DIN: SessionSetup until PowerDelivery(ready)

# --- pilot and contactors -----------------------------------------------------------------------

V2G_SECC_CP_STATE_TIMEOUT_S = 1.5  # [V2G2-916..918] first CableCheckReq until pilot C or D
CONTACTOR_CLOSE_TIMEOUT_S = 3.0  # [V2G2-860] [V2G2-862]
CP_OSCILLATOR_RETAIN_S = 1.5  # [V2G-DC-968] the pilot keeps its 5 % after SessionStop

# --- ours, where the standards are silent -------------------------------------------------------

SECC_DISCONNECT_WAIT_S = 2.0  # after SessionStopRes the vehicle closes first; then we do
SECC_EMPTYING_S = 5.0  # connection gone: time for the ramp (100 A/s) before the end is reported
SECC_FAILED_LINGER_S = 5.0  # after FAILED: time for SessionStop (an unanswered one locks the plug)
SECC_STOP_PATIENCE_S = 20.0  # EVSE_Shutdown told until we switch off; a car takes < 2 s
SECC_ABORT_LINGER_S = 10.0  # power switched off by us until we close the connection
SECC_ENERGISED_SILENCE_S = 10.0  # a vehicle silent this long gets no more power (longest seen: 3 s)
POWER_REPORT_MAX_AGE_S = 1.0  # older measurements are no answer to a vehicle
EVCC_ONGOING_INTERVAL_S = 0.1  # real cars repeat an Ongoing request every 40 to 250 ms
EVCC_CURRENT_DEMAND_INTERVAL_S = 0.25  # real cars: 90 to 460 ms
EVCC_RAMP_DOWN_S = 2.0  # 0 A asked for until PowerDelivery(stop); a supply ramps 100 A/s or more
EVCC_STOP_CURRENT_TIMEOUT_S = 5.0  # after PowerDelivery(stop): current below 1 A, else open
EVCC_ABORT_CURRENT_TIMEOUT_S = 1.0  # after S2 opened: IEC 61851-23 wants < 5 A within 30 ms
EVCC_CONTACTOR_OPEN_TIMEOUT_S = 1.0  # feedback after the request; a weld shows in the next check
EVCC_S2_SETTLE_S = 0.2  # the charger sees state C or B before it is asked about it
EVCC_WELDING_INTERVAL_S = 0.25
EVCC_WELDING_MAX_ROUNDS = 10  # some chargers never show the voltage falling
EVCC_REPORT_MAX_AGE_S = 1.0
