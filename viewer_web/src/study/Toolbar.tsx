import {
  Contrast,
  Feather,
  Flame,
  type LucideIcon,
  Move,
  Rows3,
  RotateCcw,
  SunMoon,
  Type,
  ZoomIn,
} from 'lucide-react';
import {
  Button,
  Slider,
  SliderThumb,
  SliderTrack,
  ToggleButton,
  ToggleButtonGroup,
  Toolbar as AriaToolbar,
} from 'react-aria-components';

import { useWords } from '../i18n/format';
import type { ImageView, Tool } from '../viewport/imageView';

const TOOLS: readonly { id: Tool; icon: LucideIcon; stackOnly?: boolean }[] = [
  { id: 'window', icon: SunMoon },
  { id: 'zoom', icon: ZoomIn },
  { id: 'pan', icon: Move },
  { id: 'scroll', icon: Rows3, stackOnly: true },
];

interface Props {
  view: ImageView | null;
  isStack: boolean;
  isInverted: boolean;
  tool: Tool;
  onTool: (tool: Tool) => void;
  hasOverlays: boolean;
  onOverlays: (on: boolean) => void;
  heat: {
    isThere: boolean;
    isOn: boolean;
    onChange: (on: boolean) => void;
    opacity: number;
    onOpacity: (opacity: number) => void;
  };
  isLight: boolean;
  onLight: (on: boolean) => void;
}

export function Toolbar({ view, isStack, isInverted, tool, onTool, hasOverlays, onOverlays, heat, isLight, onLight }: Props) {
  const { t } = useWords();
  return (
    <AriaToolbar className="toolbar" aria-label={t('image.tool.more')}>
      <ToggleButtonGroup
        className="toolbar-group"
        selectionMode="single"
        disallowEmptySelection
        selectedKeys={[tool]}
        onSelectionChange={(keys) => {
          for (const key of keys) onTool(key as Tool);
        }}
      >
        {TOOLS.filter((one) => isStack || one.stackOnly !== true).map(({ id, icon: Icon }) => (
          <ToggleButton key={id} id={id} className="button button-quiet tool" aria-label={t(`image.tool.${id}`)}>
            <Icon aria-hidden="true" />
            <span>{t(`image.tool.${id}`)}</span>
          </ToggleButton>
        ))}
      </ToggleButtonGroup>
      <ToggleButton
        className="button button-quiet tool"
        aria-label={t('image.tool.invert')}
        isSelected={isInverted}
        onChange={() => view?.toggleInvert()}
      >
        <Contrast aria-hidden="true" />
        <span>{t('image.tool.invert')}</span>
      </ToggleButton>
      <Button className="button button-quiet tool" aria-label={t('image.tool.reset')} onPress={() => view?.reset()}>
        <RotateCcw aria-hidden="true" />
        <span>{t('image.tool.reset')}</span>
      </Button>
      <ToggleButton
        className="button button-quiet tool tool-minor"
        aria-label={t('image.tool.overlays')}
        isSelected={!hasOverlays}
        onChange={(isHidden) => onOverlays(!isHidden)}
      >
        <Type aria-hidden="true" />
        <span>{t('image.tool.overlays')}</span>
      </ToggleButton>
      <ToggleButton
        className="button button-quiet tool tool-minor"
        aria-label={t('study.light')}
        isSelected={isLight}
        onChange={onLight}
      >
        <Feather aria-hidden="true" />
        <span>{t('study.light')}</span>
      </ToggleButton>
      <span className="toolbar-space" />
      {heat.isOn && (
        <Slider
          className="opacity"
          aria-label={t('image.tool.opacity')}
          minValue={0.1}
          maxValue={1}
          step={0.05}
          value={heat.opacity}
          onChange={heat.onOpacity}
        >
          <SliderTrack className="opacity-track">
            <SliderThumb className="opacity-thumb" />
          </SliderTrack>
        </Slider>
      )}
      <ToggleButton
        className="button tool tool-heat"
        data-testid="heatmap-toggle"
        isSelected={heat.isOn}
        isDisabled={!heat.isThere}
        onChange={heat.onChange}
      >
        <Flame aria-hidden="true" />
        <span>{t('image.tool.heatmap')}</span>
      </ToggleButton>
    </AriaToolbar>
  );
}
