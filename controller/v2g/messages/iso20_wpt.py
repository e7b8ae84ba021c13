"""ISO 15118-20 WPT, charging without a cable: V2GTP payload type 0x8006.

For names and shared types see `iso20_types`. Spelling is the standard's (`Clearence`).
"""

from controller.v2g.exi.codec import Codec
from controller.v2g.exi.schema import (
    BOOLEAN,
    SHORT,
    UNSIGNED_BYTE,
    UNSIGNED_SHORT,
    Binary,
    Declared,
    ExiEnum,
    Text,
    declare,
    element,
)
from controller.v2g.messages.iso20_types import (
    ALL,
    IDENTIFIER,
    NUMERIC_ID,
    OTHERS,
    ChargeLoopReq,
    ChargeLoopRes,
    ChargeParameterDiscoveryReq,
    ChargeParameterDiscoveryRes,
    Processing,
    RationalNumber,
    V2gMessage,
    V2gRequest,
    V2gResponse,
    messages_of,
)

NAMESPACE = "urn:iso:std:iso:15118:-20:WPT"
CONTAINER = Binary(256, base64=True)


class WptElement(Declared):
    """Base of all classes of this namespace."""

    __slots__ = ()
    NAMESPACE = NAMESPACE
    ATTRIBUTES_QUALIFIED = True


# ------------------------------------------------------------------------------------- enumerations


class WptFinePositioningMethod(ExiEnum):
    """How the car finds its exact place."""

    Manual = "Manual"
    LF_TxEV = "LF_TxEV"
    LF_TxPrimaryDevice = "LF_TxPrimaryDevice"
    LPE = "LPE"
    Proprietary = "Proprietary"


class WptPairingMethod(ExiEnum):
    """How car and primary device find out that they belong together."""

    External_confirmation = "External confirmation"
    LPE = "LPE"
    LF_TxEV = "LF_TxEV"
    LF_TxPrimaryDevice = "LF_TxPrimaryDevice"
    Optical = "Optical"
    Proprietary = "Proprietary"


class WptAlignmentCheckMethod(ExiEnum):
    """How the place is checked."""

    PowerCheck = "PowerCheck"
    LPE = "LPE"
    Proprietary = "Proprietary"


class WptEvpcChargeDiagnostics(ExiEnum):
    """What is wrong with the power circuit of the car."""

    EVPCNoIssue = "EVPCNoIssue"
    EVPCTempOverheatDetected = "EVPCTempOverheatDetected"
    EVPCPowerTransferAnomalyDetected = "EVPCPowerTransferAnomalyDetected"
    EVPCAnomalyDetected = "EVPCAnomalyDetected"


class WptSpcChargeDiagnostics(ExiEnum):
    """What is wrong with the power circuit of the charger."""

    SPCNoIssue = "SPCNoIssue"
    SPCFODDetected = "SPCFODDetected"
    SPCLOPDetected = "SPCLOPDetected"
    SPCTempOverheatDetected = "SPCTempOverheatDetected"
    SPCPowerTransferAnomalyDetected = "SPCPowerTransferAnomalyDetected"
    SPCAnomalyDetected = "SPCAnomalyDetected"


class WptPowerClass(ExiEnum):
    """Input power class of the primary device."""

    MF_WPT1 = "MF-WPT1"
    MF_WPT2 = "MF-WPT2"
    MF_WPT3 = "MF-WPT3"
    MF_WPT4 = "MF-WPT4"


class WptEvResult(ExiEnum):
    """How a step went for the car."""

    EVResultUnknown = "EVResultUnknown"
    EVResultSuccess = "EVResultSuccess"
    EVResultFailed = "EVResultFailed"


# -------------------------------------------------------------------------------------------- types


@declare()
class WptFinePositioningMethodList(WptElement):
    """Methods of fine positioning."""

    wpt_fine_positioning_method: tuple[WptFinePositioningMethod, ...] = element(
        "WPT_FinePositioningMethod", most=8
    )


@declare()
class WptPairingMethodList(WptElement):
    """Methods of pairing."""

    wpt_pairing_method: tuple[WptPairingMethod, ...] = element("WPT_PairingMethod", most=8)


@declare()
class WptAlignmentCheckMethodList(WptElement):
    """Methods of checking the place."""

    wpt_alignment_check_method: tuple[WptAlignmentCheckMethod, ...] = element(
        "WPT_AlignmentCheckMethod", most=8
    )


@declare()
class WptEvpcPowerControlParameter(WptElement):
    """Currents (A) and voltage (V) of the power circuit of the car."""

    evpc_coil_current_request: RationalNumber = element("EVPCCoilCurrentRequest")
    evpc_coil_current_information: RationalNumber = element("EVPCCoilCurrentInformation")
    evpc_current_output_information: RationalNumber = element("EVPCCurrentOutputInformation")
    evpc_voltage_output_information: RationalNumber = element("EVPCVoltageOutputInformation")


@declare()
class WptSpcPowerControlParameter(WptElement):
    """Current (A) of the primary coil."""

    spc_primary_device_coil_current_information: RationalNumber = element(
        "SPCPrimaryDeviceCoilCurrentInformation"
    )


@declare()
class WptCoordinateXyz(WptElement):
    """A place or a direction."""

    coord_x: int = element("Coord_X", SHORT)
    coord_y: int = element("Coord_Y", SHORT)
    coord_z: int = element("Coord_Z", SHORT)


@declare()
class WptTxRxSpecData(WptElement):
    """Where an antenna is and where it points."""

    tx_rx_identifier: int = element("TxRxIdentifier", NUMERIC_ID)
    tx_rx_position: WptCoordinateXyz = element("TxRxPosition")
    tx_rx_orientation: WptCoordinateXyz = element("TxRxOrientation")


@declare()
class WptTxRxPulseOrder(WptElement):
    """Which antenna pulses when."""

    index_number: int = element("IndexNumber", UNSIGNED_SHORT)
    tx_rx_identifier: int = element("TxRxIdentifier", NUMERIC_ID)


@declare()
class WptTxRxPackageSpecData(WptElement):
    """How a package of pulses is made."""

    pulse_sequence_order: tuple[WptTxRxPulseOrder, ...] = element(
        "PulseSequenceOrder", least=2, most=255
    )
    pulse_separation_time: int = element("PulseSeparationTime", UNSIGNED_SHORT)
    pulse_duration: int = element("PulseDuration", UNSIGNED_SHORT)
    package_separation_time: int = element("PackageSeparationTime", UNSIGNED_SHORT)


@declare()
class WptLfTransmitterData(WptElement):
    """The low-frequency transmitters."""

    number_of_transmitters: int = element("NumberOfTransmitters", UNSIGNED_BYTE)
    signal_frequency: RationalNumber = element("SignalFrequency")
    tx_spec_data: tuple[WptTxRxSpecData, ...] = element("TxSpecData", least=2, most=255)
    tx_package_spec_data: WptTxRxPackageSpecData | None = element("TxPackageSpecData", default=None)


@declare()
class WptLfReceiverData(WptElement):
    """The low-frequency receivers."""

    number_of_receivers: int = element("NumberOfReceivers", UNSIGNED_BYTE)
    rx_spec_data: tuple[WptTxRxSpecData, ...] = element("RxSpecData", least=2, most=255)


@declare()
class WptLfSystemSetupData(WptElement):
    """Transmitters or receivers: exactly one is set."""

    lf_transmitter_setup_data: WptLfTransmitterData | None = element(
        "LF_TransmitterSetupData", choice="setup_data", default=None
    )
    lf_receiver_setup_data: WptLfReceiverData | None = element(
        "LF_ReceiverSetupData", choice="setup_data", default=None
    )


@declare()
class WptLfTxData(WptElement):
    """Power that an antenna radiates."""

    tx_identifier: int = element("TxIdentifier", NUMERIC_ID)
    eirp: RationalNumber = element("EIRP")


@declare()
class WptLfTxDataList(WptElement):
    """Holds one `WptLfTxData`."""

    wpt_lf_tx_data_list: WptLfTxData = element("WPT_LF_TxDataList")


@declare()
class WptLfRxRssi(WptElement):
    """Strength at which a transmitter is received."""

    tx_identifier: int = element("TxIdentifier", NUMERIC_ID)
    rssi: RationalNumber = element("RSSI")


@declare()
class WptLfRxRssiList(WptElement):
    """Holds one `WptLfRxRssi`."""

    rssi_data_list: WptLfRxRssi = element("RSSIDataList")


@declare()
class WptLfRxData(WptElement):
    """What an antenna receives."""

    rx_identifier: int = element("RxIdentifier", NUMERIC_ID)
    rssi_data: WptLfRxRssiList = element("RSSIData")


@declare()
class WptLfRxDataList(WptElement):
    """Holds one `WptLfRxData`."""

    wpt_lf_rx_data_list: WptLfRxData = element("WPT_LF_RxDataList")


@declare()
class WptLfDataPackage(WptElement):
    """What was sent or received: exactly one is set."""

    package_index: int = element("PackageIndex", UNSIGNED_BYTE)
    lf_tx_data: WptLfTxDataList | None = element("LF_TxData", choice="data", default=None)
    lf_rx_data: WptLfRxDataList | None = element("LF_RxData", choice="data", default=None)


@declare()
class WptLfDataPackageList(WptElement):
    """Number of packages, and one of them."""

    num_packages: int = element("NumPackages", UNSIGNED_BYTE)
    wpt_lf_data_package: WptLfDataPackage = element("WPT_LF_DataPackage")


@declare()
class AlternativeSecc(WptElement):
    """Where another charger is found."""

    ssid: str | None = element("SSID", IDENTIFIER, default=None)
    bssid: str | None = element("BSSID", Text(12), default=None)
    ip_address: str | None = element("IPAddress", Text(39), default=None)
    port: int | None = element("Port", UNSIGNED_SHORT, default=None)


@declare()
class AlternativeSeccList(WptElement):
    """Other chargers."""

    alternative_secc: tuple[AlternativeSecc, ...] = element("AlternativeSECC", most=8)


# ----------------------------------------------------------------------------------------- messages


@declare("WPT_FinePositioningSetupReq")
class WptFinePositioningSetupReq(WptElement, V2gRequest):
    """Methods that the car knows."""

    ev_processing: Processing = element("EVProcessing")
    ev_device_fine_positioning_method_list: WptFinePositioningMethodList = element(
        "EVDeviceFinePositioningMethodList"
    )
    ev_device_pairing_method_list: WptPairingMethodList = element("EVDevicePairingMethodList")
    ev_device_alignment_check_method_list: WptAlignmentCheckMethodList = element(
        "EVDeviceAlignmentCheckMethodList"
    )
    natural_offset: int = element("NaturalOffset", UNSIGNED_SHORT)
    vendor_specific_data_container: tuple[bytes, ...] = element(
        "VendorSpecificDataContainer", CONTAINER, least=0, most=16, default=()
    )
    lf_system_setup_data: WptLfSystemSetupData | None = element("LF_SystemSetupData", default=None)


@declare("WPT_FinePositioningSetupRes")
class WptFinePositioningSetupRes(WptElement, V2gResponse):
    """Methods that the primary device knows."""

    primary_device_fine_positioning_method_list: WptFinePositioningMethodList = element(
        "PrimaryDeviceFinePositioningMethodList"
    )
    primary_device_pairing_method_list: WptPairingMethodList = element(
        "PrimaryDevicePairingMethodList"
    )
    primary_device_alignment_check_method_list: WptAlignmentCheckMethodList = element(
        "PrimaryDeviceAlignmentCheckMethodList"
    )
    natural_offset: int = element("NaturalOffset", UNSIGNED_SHORT)
    vendor_specific_data_container: tuple[bytes, ...] = element(
        "VendorSpecificDataContainer", CONTAINER, least=0, most=16, default=()
    )
    lf_system_setup_data: WptLfSystemSetupData | None = element("LF_SystemSetupData", default=None)


@declare("WPT_FinePositioningReq")
class WptFinePositioningReq(WptElement, V2gRequest):
    """How fine positioning goes for the car."""

    ev_processing: Processing = element("EVProcessing")
    ev_result_code: WptEvResult = element("EVResultCode")
    vendor_specific_data_container: tuple[bytes, ...] = element(
        "VendorSpecificDataContainer", CONTAINER, least=0, most=16, default=()
    )
    wpt_lf_data_package_list: WptLfDataPackageList | None = element(
        "WPT_LF_DataPackageList", default=None
    )


@declare("WPT_FinePositioningRes")
class WptFinePositioningRes(WptElement, V2gResponse):
    """How fine positioning goes for the charger."""

    evse_processing: Processing = element("EVSEProcessing")
    vendor_specific_data_container: tuple[bytes, ...] = element(
        "VendorSpecificDataContainer", CONTAINER, least=0, most=16, default=()
    )
    wpt_lf_data_package_list: WptLfDataPackageList | None = element(
        "WPT_LF_DataPackageList", default=None
    )


@declare("WPT_PairingReq")
class WptPairingReq(WptElement, V2gRequest):
    """Do we belong together?"""

    ev_processing: Processing = element("EVProcessing")
    observed_id_code: int | None = element("ObservedIDCode", NUMERIC_ID, default=None)
    ev_result_code: WptEvResult = element("EVResultCode")
    vendor_specific_data_container: tuple[bytes, ...] = element(
        "VendorSpecificDataContainer", CONTAINER, least=0, most=16, default=()
    )


@declare("WPT_PairingRes")
class WptPairingRes(WptElement, V2gResponse):
    """Whether we do, or who may belong to the car."""

    evse_processing: Processing = element("EVSEProcessing")
    observed_id_code: int | None = element("ObservedIDCode", NUMERIC_ID, default=None)
    alternative_secc_list: AlternativeSeccList | None = element("AlternativeSECCList", default=None)
    vendor_specific_data_container: tuple[bytes, ...] = element(
        "VendorSpecificDataContainer", CONTAINER, least=0, most=16, default=()
    )


@declare("WPT_ChargeParameterDiscoveryReq")
class WptChargeParameterDiscoveryReq(WptElement, ChargeParameterDiscoveryReq):
    """What the car can take (W, Hz); ground clearances of the coil."""

    evpc_max_receivable_power: RationalNumber = element("EVPCMaxReceivablePower")
    sd_max_ground_clearence: int = element("SDMaxGroundClearence", UNSIGNED_SHORT)
    sd_min_ground_clearence: int = element("SDMinGroundClearence", UNSIGNED_SHORT)
    evpc_natural_frequency: RationalNumber = element("EVPCNaturalFrequency")
    evpc_device_local_control: bool = element("EVPCDeviceLocalControl", BOOLEAN)
    vendor_specific_data_container: tuple[bytes, ...] = element(
        "VendorSpecificDataContainer", CONTAINER, least=0, most=16, default=()
    )


@declare("WPT_ChargeParameterDiscoveryRes")
class WptChargeParameterDiscoveryRes(WptElement, ChargeParameterDiscoveryRes):
    """What the charger can give (W, A); ground clearances."""

    pd_input_power_class: WptPowerClass = element("PDInputPowerClass")
    sd_min_output_power: RationalNumber = element("SDMinOutputPower")
    sd_max_output_power: RationalNumber = element("SDMaxOutputPower")
    sd_max_ground_clearance_support: int = element("SDMaxGroundClearanceSupport", UNSIGNED_SHORT)
    sd_min_ground_clearance_support: int = element("SDMinGroundClearanceSupport", UNSIGNED_SHORT)
    pd_min_coil_current: RationalNumber = element("PDMinCoilCurrent")
    pd_max_coil_current: RationalNumber = element("PDMaxCoilCurrent")
    sd_manufacturer_specific_data_container: tuple[bytes, ...] = element(
        "SDManufacturerSpecificDataContainer", CONTAINER, least=0, most=16, default=()
    )


@declare("WPT_AlignmentCheckReq")
class WptAlignmentCheckReq(WptElement, V2gRequest):
    """Does the car stand right? Coil current in A."""

    ev_processing: Processing = element("EVProcessing")
    target_coil_current: RationalNumber | None = element("TargetCoilCurrent", default=None)
    ev_result_code: WptEvResult = element("EVResultCode")
    vendor_specific_data_container: tuple[bytes, ...] = element(
        "VendorSpecificDataContainer", CONTAINER, least=0, most=16, default=()
    )


@declare("WPT_AlignmentCheckRes")
class WptAlignmentCheckRes(WptElement, V2gResponse):
    """Power transmitted (W) and current (A)."""

    evse_processing: Processing = element("EVSEProcessing")
    power_transmitted: RationalNumber | None = element("PowerTransmitted", default=None)
    supply_device_current: RationalNumber | None = element("SupplyDeviceCurrent", default=None)
    vendor_specific_data_container: tuple[bytes, ...] = element(
        "VendorSpecificDataContainer", CONTAINER, least=0, most=16, default=()
    )


@declare("WPT_ChargeLoopReq")
class WptChargeLoopReq(WptElement, ChargeLoopReq):
    """Charge loop: power that the car wants and gets (W)."""

    evpc_power_request: RationalNumber = element("EVPCPowerRequest")
    evpc_power_output: RationalNumber = element("EVPCPowerOutput")
    evpc_charge_diagnostics: WptEvpcChargeDiagnostics = element("EVPCChargeDiagnostics")
    evpc_operating_frequency: RationalNumber | None = element(
        "EVPCOperatingFrequency", default=None
    )
    evpc_power_control_parameter: WptEvpcPowerControlParameter | None = element(
        "EVPCPowerControlParameter", default=None
    )
    manufacturer_specific_data_container: tuple[bytes, ...] = element(
        "ManufacturerSpecificDataContainer", CONTAINER, least=0, most=16, default=()
    )


@declare("WPT_ChargeLoopRes")
class WptChargeLoopRes(WptElement, ChargeLoopRes):
    """Charge loop: power that the charger takes, and its limits (W)."""

    evpc_power_request: RationalNumber = element("EVPCPowerRequest")
    sd_power_input: RationalNumber | None = element("SDPowerInput", default=None)
    spc_max_output_power_limit: RationalNumber = element("SPCMaxOutputPowerLimit")
    spc_min_output_power_limit: RationalNumber = element("SPCMinOutputPowerLimit")
    spc_charge_diagnostics: WptSpcChargeDiagnostics = element("SPCChargeDiagnostics")
    spc_operating_frequency: RationalNumber | None = element("SPCOperatingFrequency", default=None)
    spc_power_control_parameter: WptSpcPowerControlParameter | None = element(
        "SPCPowerControlParameter", default=None
    )
    manufacturer_specific_data_container: tuple[bytes, ...] = element(
        "ManufacturerSpecificDataContainer", CONTAINER, least=0, most=16, default=()
    )


CODEC: Codec[V2gMessage] = Codec(
    "iso20-wpt", NAMESPACE, roots=messages_of(__name__), others=OTHERS, unreached=ALL
)


decode = CODEC.decode
decode_counting = CODEC.decode_counting
encode = CODEC.encode
to_json = CODEC.to_json
from_json = CODEC.from_json
